"""Document -> BioC's tree, which `bioc` describes and reads."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from itertools import count

from raybio.corpora.bioc import BETWEEN, MADE_UP, OURS, Node, references
from raybio.corpora.standoff import annotation_parts, cannot_hold, check_mentions, in_order
from raybio.entities import Document, Passage, Relation


def tree(document: Document) -> Node:
    """Return `document` as BioC's tree.

    Raises:
        FormatError: passages overlap or leave the text, or use a name reserved here.
        OffsetError: a mention does not cover its text.
    """
    check_mentions(document)
    pieces = list(_pieces(document))
    ends = [piece.end for piece in pieces]
    passages = [_passage_tree(document, piece) for piece in pieces]
    for annotation in _annotation_trees(document):
        # An annotation stands in the passage that holds its first character.
        home = bisect_right(ends, annotation["locations"][0]["offset"])
        passages[home]["annotations"].append(annotation)
    return {
        "id": document.id,
        "infons": _document_infons(document),
        "passages": passages,
        "relations": [_relation_tree(relation) for relation in document.relations],
    }


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


def _passage_tree(document: Document, passage: Passage) -> Node:
    return {
        "infons": _filled({"type": passage.kind, "label": passage.label, "language": passage.language}),
        "offset": passage.start,
        "text": document.passage_text(passage),
        "sentences": [],
        "annotations": [],
        "relations": [],
    }


def _annotation_trees(document: Document) -> Iterator[Node]:
    mentions = document.mentions or ()
    # A made-up name must be nobody's, nor become what a relation refers to.
    taken = {mention.id for mention in mentions} | references(document.relations)
    names = (name for i in count(1) if (name := f"{MADE_UP}{i}") not in taken)
    for parts in annotation_parts(in_order(mentions)):
        first = parts[0]
        score = "" if first.score is None else repr(first.score)
        yield {
            "id": first.id or next(names),
            "infons": _filled({"type": first.label, "identifier": first.concept, "score": score}),
            "text": " ".join(part.text for part in parts),
            "locations": [{"offset": part.start, "length": part.end - part.start} for part in parts],
        }


def _relation_tree(relation: Relation) -> Node:
    nodes = [{"refid": reference, "role": role} for role, reference in relation.arguments]
    return {"id": relation.id, "infons": _filled({"type": relation.label}), "nodes": nodes}


def _document_infons(document: Document) -> dict[str, str]:
    if OURS in document.attributes:
        raise cannot_hold("BioC", document, f"an attribute named {OURS!r}", "Rename the attribute")
    lists = [key for key, value in document.attributes.items() if isinstance(value, tuple)]
    ours: Node = {} if document.version == 1 else {"version": document.version}
    if document.mentions is None:
        ours["annotated"] = False
    if lists:
        ours["lists"] = lists
    infons = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in document.attributes.items()
    }
    return {**infons, OURS: json.dumps(ours, ensure_ascii=False)} if ours else infons


def _filled(infons: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in infons.items() if value}
