"""BioC's tree -> Document. The tree is BioC JSON's: plain dicts and lists; BioC XML maps onto it.

    document   {"id", "infons", "passages": [...], "annotations": [], "relations": [...]}
    passage    {"infons": {"type", "label", "language"}, "offset", "text", "sentences": [],
                "annotations": [...], "relations": []}
    annotation {"id", "infons": {"type", "identifier", "score"}, "text",
                "locations": [{"offset", "length"}, ...]}
    relation   {"id", "infons": {"type"}, "nodes": [{"refid", "role"}, ...]}

Offsets are Unicode code points of the document, as PubTator has them; files that count bytes
are rejected wherever the difference shows. An annotation with several locations is one
discontinuous annotation: mentions that share its id. `infons` says under which keys labels,
concepts and arguments are looked for; all others travel with their passage, mention or relation, and
those of the document are its attributes.

What BioC has no name for goes into names of our own, which other tools pass over:
- text that no passage covers (headings, trailing text) is a passage of type "raybio-between",
  so that a BioC document always holds the whole text; a gap without one reads as spaces;
- attributes are the document's infons; a tuple is written as a JSON list, and the infon
  "raybio" names it: {"version": 2, "annotated": false, "lists": ["mesh"]}, defaults left out;
- BioC names every annotation: a mention without an id is written as "raybio-1", "raybio-2"...
  and read back without it, unless a relation refers to it by that name.

And what `raybio.entities` has no name for goes under the infon "raybio" of its passage, mention or
relation, or into `Document.extra["bioc"]`, for `bioc_tree` to put back:
- "keys": names beside BioC's own, as PubTator 3 has them; "collection": what stands around documents;
- "sentences" of a passage, without their text; "text": the passage has its own all the same;
- "level": offsets of the passage (and sentence) something stands in, where `bioc_tree` would choose others;
- "id": an id that another annotation alike has too ("0" in each passage); ours are "0", "0~2";
- "nodes" of a relation whose arguments its infons name;
- "annotations": those without a label or a place, which are no mentions.

Mentions read come in the order of the text. Not held: words (`Document.sentences`).
Format: Comeau et al. 2013, doi:10.1093/database/bat064, and its DTD, version 1.0.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raybio.corpora.bioc_annotations import annotated
from raybio.corpora.bioc_nodes import (
    BETWEEN,
    Home,
    Node,
    Unit,
    as_json,
    infon,
    items,
    keys_of,
    mapping,
    split_infons,
    with_ours,
)
from raybio.corpora.checks import LARGEST_VERSION
from raybio.corpora.infons import OURS, text_of
from raybio.corpora.limits import MAX_RECORD_BYTES, shown, too_large_problem
from raybio.corpora.standoff import in_order, integer
from raybio.entities import AttributeValue, Document, Passage, Record, Rejected

WIDEST_GAP = 65_536
"""Characters of the widest gap between passages that is filled; a wider one is a broken offset."""

_PARTS = ("annotations", "relations", "sentences", "infons")
_MUCH_ALIKE = 0.8
_LONGEST_MISSPELT = 20
"""Characters; a longer name is not much alike to any part's."""
_MAX_OUT_OF_ORDER = 1_000
_NO_TEXT_REMEDY = "Give each passage, or each of its sentences, the text that its annotations are of"
REMEDY = "Fix the document: offsets count Unicode code points of the whole document"


def read_document(
    node: object,
    source: str,
    place: str,
    raw: Callable[[], str],
    max_record_bytes: int = MAX_RECORD_BYTES,
    collection: Mapping[str, Any] | None = None,
) -> Record:
    """Return the Document that `node` describes, or else a Rejected with `place` and what `raw` returns.

    Neither its text nor that of all its mentions may have more than `max_record_bytes` characters: offsets
    and lengths of a few digits could name gigabytes. `collection` is what stands around the documents.
    """
    try:
        return _document(mapping(node, "a document"), max_record_bytes, collection or {})
    except (ValueError, RecursionError) as fault:
        problem = "its values are nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        name = node.get("id") if isinstance(node, Mapping) else ""
        name = str(name) if isinstance(name, str | int) else ""
        remedy = _NO_TEXT_REMEDY if isinstance(fault, _NoTextError) else REMEDY
        return Rejected(source, place, problem, remedy, name, raw())


@dataclass
class _Passage:
    """A passage of the tree, its own text, and its sentences with theirs, each where it begins."""

    node: Mapping[str, Any]
    start: int
    text: str
    sentences: list[tuple[int, str, Mapping[str, Any]]]

    @property
    def pieces(self) -> list[tuple[int, str]]:
        """Return (offset, text) of the passage, or of each of its sentences where it has no text itself."""
        parts = [(start, text) for start, text, _ in self.sentences]
        return [(self.start, self.text)] if self.text or not parts else parts

    @property
    def home(self) -> Home:
        """Return where the passage lies, with its sentences where annotations stand in those."""
        pieces = self.pieces
        start, end = pieces[0][0], pieces[-1][0] + len(pieces[-1][1])
        inner = [] if self.text else [Home(at, at + len(said)) for at, said, _ in self.sentences]
        return Home(start, end, inner)


def _document(node: Mapping[str, Any], max_record_bytes: int, collection: Mapping[str, Any]) -> Document:
    if "passages" not in node:  # misspelt, say: what it holds would be lost
        raise ValueError("the document has no 'passages'")
    passages = [_read_passage(passage) for passage in items(node, "passages")]
    text = _whole_text(passages, max_record_bytes)
    units = [Unit((), node)]
    for each in passages:
        start = each.home.start
        units += Unit((start,), each.node), *(Unit((start, at), inner) for at, _, inner in each.sentences)
    for unit in units:
        _refuse_misspelt(unit.node)
    found = annotated(units, text, [each.home for each in passages], max_record_bytes)
    attributes, extra, ours = _attributes(node)
    others = {"collection": collection, "annotations": found.others}
    mentions = in_order(found.mentions)
    bioc = {**extra.pop("bioc", {}), **{key: value for key, value in others.items() if value}}
    return Document(
        text_of(node.get("id")),
        text,
        tuple(_passage(each) for each in passages if infon(each.node, "type") != BETWEEN),
        mentions if mentions or ours.get("annotated", True) else None,
        relations=found.relations,
        version=_version(ours),
        attributes=attributes,
        extra={**extra, "bioc": bioc} if bioc else extra,
    )


def _refuse_misspelt(unit: Mapping[str, Any]) -> None:
    """Raise where one of `_PARTS` goes by a name much like its own: what it holds would be lost.

    Other names are let be: PubTator 3 has a dozen of its own.
    """
    for name in unit:
        known = name in _PARTS or len(name) > _LONGEST_MISSPELT
        near = [] if known else difflib.get_close_matches(name, _PARTS, 1, _MUCH_ALIKE)
        if near and near[0] not in unit:
            raise ValueError(f"{name!r} is no part of BioC. Did you mean {near[0]!r}?")


def _version(ours: Mapping[str, Any]) -> int:
    version = integer(ours.get("version", 1), "version")
    if not 0 <= version <= LARGEST_VERSION:
        raise ValueError(f"version {version} is not in [0, {LARGEST_VERSION}]")
    return version


def _whole_text(passages: Iterable[_Passage], max_characters: int) -> str:
    """Lay the passages' texts at their offsets, with spaces in the gaps."""
    laid: list[str] = []
    end = 0
    for offset, text in (piece for passage in passages for piece in passage.pieces):
        if not 0 <= offset - end <= WIDEST_GAP:
            raise ValueError(f"a passage begins at {offset}, where the text before it ends at {end}")
        if offset + len(text) > max_characters:
            raise ValueError(too_large_problem("its text with the gaps between passages", max_characters))
        laid += " " * (offset - end), text
        end = offset + len(text)
    whole = "".join(laid)
    try:
        whole.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the text holds half a surrogate pair at {error.start}") from error
    return whole


def _read_passage(node: Mapping[str, Any]) -> _Passage:
    sentences = items(node, "sentences")
    text = text_of(node.get("text"))
    if text or not sentences:
        _refuse_missing_text(node, "passage")
        start = integer(node.get("offset"), "offset")
        return _Passage(node, start, text, _found_in(text, start, sentences))
    for sentence in sentences:
        _refuse_missing_text(sentence, "sentence")
    placed = [(integer(each.get("offset"), "offset"), text_of(each.get("text")), each) for each in sentences]
    return _Passage(node, placed[0][0], "", placed)


class _NoTextError(ValueError):
    """A passage or sentence has no text, where something says that it should."""


def _refuse_missing_text(node: Mapping[str, Any], kind: str) -> None:
    """Raise where annotations stand in what has no text, or where the text may go by another name."""
    if node.get("text") is None and (items(node, "annotations") or keys_of(node, kind)):
        raise _NoTextError(f"the {kind} at offset {node.get('offset')} has no 'text'")


def _found_in(
    text: str, start: int, sentences: Sequence[Mapping[str, Any]]
) -> list[tuple[int, str, Mapping[str, Any]]]:
    """Find the sentences of a passage that has its own text."""
    placed = []
    position, out_of_order = 0, 0
    for sentence in sentences:
        said = text_of(sentence.get("text"))
        # From where the last one was found: to look through all of the text for each would be quadratic.
        found = text.find(said, position)
        if found < 0:
            found, out_of_order = text.find(said), out_of_order + 1
        if found < 0:
            raise ValueError(f"the passage's text has not the words of its sentence {shown(said)}")
        if out_of_order > _MAX_OUT_OF_ORDER:
            raise ValueError("the sentences of a passage are not in the order of its text")
        position = found
        placed.append((start + found, said, sentence))
    return placed


def _passage(passage: _Passage) -> Passage:
    infons, ours = split_infons(passage.node, "passage")
    fields = {key: text_of(infons.pop(key, "")) for key in ("type", "label", "language")}
    if passage.sentences:
        ours["sentences"] = [_said_of(*sentence) for sentence in passage.sentences]
        if passage.text:
            ours["text"] = True
    home = passage.home
    kind = fields["type"] or "text"
    left = with_ours(infons, ours)
    return Passage(home.start, home.end, kind, fields["label"], fields["language"], left)


def _said_of(start: int, text: str, node: Mapping[str, Any]) -> Node:
    """Return what a sentence says besides its text, annotations and relations."""
    infons, ours = split_infons(node, "sentence")
    found = with_ours(infons, ours)
    return {"offset": start, "length": len(text)} | ({"infons": found} if found else {})


def _attributes(node: Mapping[str, Any]) -> tuple[dict[str, AttributeValue], Node, Node]:
    """Return the attributes among a document's infons, its `extra`, and what is ours among them."""
    infons, ours = split_infons(node, "document")
    lists = ours.get("lists", [])
    if not isinstance(lists, list):
        raise ValueError(f"infon {OURS!r} names the lists with {type(lists).__name__}, not a list")
    attributes: dict[str, AttributeValue] = {}
    values: Node = {}
    for key, value in infons.items():
        said = as_json(value) if key in lists else value
        if isinstance(said, list):
            attributes[key] = tuple(text_of(item) for item in said)
        else:
            attributes[key] = text_of(value)
        if not isinstance(value, str):
            values[key] = value
    extra = dict(mapping(ours.get("extra", {}), "'extra'"))
    bioc = {"infons": values, "keys": ours.get("keys", {})}
    if any(bioc.values()):
        extra["bioc"] = {key: value for key, value in bioc.items() if value}
    return attributes, extra, ours
