"""Document -> BioC's tree, which `bioc` describes and reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from raybio.corpora.bioc_nodes import BETWEEN, MADE_UP, Home, Node, Path, home_of
from raybio.corpora.infons import (
    OURS,
    Arguments,
    arguments_of,
    positional,
    text_of,
    written_mention,
    written_relation,
)
from raybio.corpora.standoff import annotation_parts, cannot_hold, check_mentions, in_order
from raybio.entities import Document, Infons, Mention, Passage, Relation


def tree(document: Document) -> Node:
    """Return `document` as BioC's tree, its infons as JSON has them.

    Raises:
        FormatError: passages overlap or leave the text, or use a name reserved here.
        OffsetError: a mention does not cover its text.
    """
    check_mentions(document)
    node = _Tree(document)
    for annotation, level in _annotation_trees(document):
        node.place("annotations", annotation, node.home(annotation["locations"][0]["offset"], level))
    for other in _bioc(document).get("annotations", ()):
        level = tuple(other.get("level", ()))
        node.place("annotations", {key: value for key, value in other.items() if key != "level"}, level)
    for relation, level in _relation_trees(document):
        node.place("relations", relation, level if level is not None else ())
    return node.document


class _Tree:
    """The tree of a document, whose parts are found by their paths."""

    def __init__(self, document: Document) -> None:
        infons, keys = _document_infons(document)
        self.document: Node = {"id": document.id, "infons": infons, "passages": [], "relations": [], **keys}
        self._nodes: dict[Path, Node] = {(): self.document}
        self._homes = []
        for piece in _pieces(document):
            node, sentences = _passage_tree(document, piece)
            self.document["passages"].append(node)
            self._nodes[(piece.start,)] = node
            for each in sentences:
                self._nodes[(piece.start, each["offset"])] = each
            inner = [Home(each["offset"], each["offset"] + len(each["text"])) for each in sentences]
            self._homes.append(Home(piece.start, piece.end, [] if "text" in node else inner))
            node["sentences"] = sentences
        self._ends = [home.end for home in self._homes]

    def home(self, offset: int, level: Path | None) -> Path:
        """Return where an annotation that begins at `offset` goes: to its own level, while that is there."""
        return level if level in self._nodes else home_of(self._homes, self._ends, offset)

    def place(self, key: str, node: Node, path: Path) -> None:
        """Add `node` to the annotations or relations of what is at `path`, or else of the document."""
        self._nodes.get(path, self.document).setdefault(key, []).append(node)


def _bioc(document: Document) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document.extra.get("bioc", {})
    return found


def _ours(infons: Infons) -> tuple[Node, Node]:
    """Return infons without what is ours, and that."""
    return {key: value for key, value in infons.items() if key != OURS}, dict(infons.get(OURS, {}))


def _said(infons: Infons, ours: Mapping[str, Any]) -> Node:
    """Return the infons of a node, what is ours as JSON among them."""
    return {**infons, OURS: json.dumps(ours, ensure_ascii=False)} if ours else dict(infons)


def _pieces(document: Document) -> Iterator[Passage]:
    """Yield the passages, and one of kind `BETWEEN` for what none covers; one space needs none."""
    end = 0
    for passage in document.passages:
        if not end <= passage.start <= passage.end <= len(document.text):
            problem = f"the passage at {passage.start}-{passage.end}, which overlaps or leaves the text"
            raise cannot_hold("BioC", document, problem, "Give passages in order")
        if passage.kind in (BETWEEN, ""):
            raise cannot_hold("BioC", document, f"a passage of kind {passage.kind!r}", "Rename the kind")
        if document.text[end : passage.start] not in ("", " "):
            yield Passage(end, passage.start, BETWEEN)
        yield passage
        end = passage.end
    if end < len(document.text):
        yield Passage(end, len(document.text), BETWEEN)


def _passage_tree(document: Document, passage: Passage) -> tuple[Node, list[Node]]:
    """Return a passage and its sentences; by BioC's DTD the text stands in one or the others."""
    left, ours = _ours(passage.infons)
    fields = {"type": passage.kind, "label": passage.label, "language": passage.language}
    keys, said = ours.pop("keys", {}), ours.pop("sentences", ())
    own_text = ours.pop("text", not said)
    node = {
        "infons": _said({**{key: value for key, value in fields.items() if value}, **left}, ours),
        "offset": passage.start,
        **({"text": document.passage_text(passage)} if own_text else {}),
        "sentences": [],
        "annotations": [],
        "relations": [],
        **keys,
    }
    return node, [_sentence_tree(document, sentence) for sentence in said]


def _sentence_tree(document: Document, sentence: Mapping[str, Any]) -> Node:
    left, ours = _ours(sentence.get("infons", {}))
    start = sentence["offset"]
    text = document.text[start : start + sentence["length"]]
    keys = ours.pop("keys", {})
    node = {"infons": _said(left, ours), "offset": start, "text": text}
    return {**node, "annotations": [], "relations": [], **keys}


def _annotation_trees(document: Document) -> Iterator[tuple[Node, Path | None]]:
    """Yield each annotation and the level that it comes from, where that is known."""
    mentions = document.mentions or ()
    referred = references(document.relations)
    # A made-up name must be nobody's, nor become what a relation refers to.
    taken = {mention.id for mention in mentions} | referred
    names = (name for i in count(1) if (name := f"{MADE_UP}{i}") not in taken)
    for parts in annotation_parts(in_order(mentions)):
        first: Mention = parts[0]
        left, ours = _ours(first.infons)
        said, level, keys = ours.pop("id", ""), ours.pop("level", None), ours.pop("keys", {})
        name = first.id if first.id in referred or not said else said
        node = {
            "id": name or next(names),
            "infons": _said(written_mention(left, first.label, first.concept, first.score), ours),
            "text": " ".join(part.text for part in parts),
            "locations": [{"offset": part.start, "length": part.end - part.start} for part in parts],
            **keys,
        }
        yield node, None if level is None else tuple(level)


def _relation_trees(document: Document) -> Iterator[tuple[Node, Path | None]]:
    """Yield each relation and the level that it comes from, where that is known."""
    ids = {mention.id for mention in document.mentions or () if mention.id}
    known = ids | {mention.concept for mention in document.mentions or () if mention.concept}
    for relation in document.relations:
        left, ours = _ours(relation.infons)
        level, keys, nodes = (ours.pop(key, None) for key in ("level", "keys", "nodes"))
        infons = written_relation(left, relation.label)
        if nodes is None or arguments_of(_ends(nodes), infons, known) != relation.arguments:
            if arguments_of((), infons, known) != relation.arguments:
                named = any(reference in ids for _, reference in relation.arguments)
                infons |= {} if named else positional(relation.arguments)
            in_infons = relation.arguments and arguments_of((), infons, known) == relation.arguments
            nodes = [] if in_infons else _nodes(relation)
        if arguments_of(_ends(nodes), infons, known) != relation.arguments:
            ours["arguments"] = [list(argument) for argument in relation.arguments]
        node = {"id": relation.id, "infons": _said(infons, ours), "nodes": nodes, **(keys or {})}
        yield node, None if level is None else tuple(level)


def _nodes(relation: Relation) -> list[Node]:
    return [{"refid": reference, "role": role} for role, reference in relation.arguments]


def _ends(nodes: Iterable[Node]) -> Arguments:
    return tuple((text_of(end.get("role")), text_of(end.get("refid"))) for end in nodes)


def references(relations: tuple[Relation, ...]) -> set[str]:
    """Return the ids of what `relations` join."""
    return {reference for relation in relations for _, reference in relation.arguments}


def _document_infons(document: Document) -> tuple[Node, Node]:
    """Return a document's infons, and the names beside BioC's own that stand in it."""
    if OURS in document.attributes:
        raise cannot_hold("BioC", document, f"an attribute named {OURS!r}", "Rename the attribute")
    bioc = _bioc(document)
    values = bioc.get("infons", {})
    infons: Node = {}
    lists = []
    for key, value in document.attributes.items():
        if key in values and _same(values[key], value):
            infons[key] = values[key]
        elif isinstance(value, str):
            infons[key] = value
        else:
            infons[key] = json.dumps(value, ensure_ascii=False)
            lists.append(key)
    others = {name: value for name, value in document.extra.items() if name != "bioc"}
    ours: Node = {
        **({} if document.version == 1 else {"version": document.version}),
        **({"annotated": False} if document.mentions is None else {}),
        **({"lists": lists} if lists else {}),
        **({"extra": others} if others else {}),
    }
    return _said(infons, ours), dict(bioc.get("keys", {}))


def _same(said: object, value: str | tuple[str, ...]) -> bool:
    """Say whether an attribute is still what its infon said."""
    return (tuple(map(text_of, said)) if isinstance(said, list) else text_of(said)) == value
