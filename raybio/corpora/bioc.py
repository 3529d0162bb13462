"""BioC's tree -> Document. The tree is BioC JSON's: plain dicts and lists; BioC XML maps onto it.

    document   {"id", "infons", "passages": [...], "relations": [...]}
    passage    {"infons": {"type", "label", "language"}, "offset", "text", "sentences": [],
                "annotations": [...], "relations": []}
    annotation {"id", "infons": {"type", "identifier", "score"}, "text",
                "locations": [{"offset", "length"}, ...]}
    relation   {"id", "infons": {"type"}, "nodes": [{"refid", "role"}, ...]}

Offsets are Unicode code points of the document, as PubTator has them; files that count bytes
are rejected wherever the difference shows. An annotation with several locations is one
discontinuous annotation: mentions that share its id.

What BioC has no name for goes into names of our own, which other tools pass over:
- text that no passage covers (headings, trailing text) is a passage of type "raybio-between",
  so that a BioC document always holds the whole text; a gap without one reads as spaces;
- attributes are the document's infons; a tuple is written as a JSON list, and the infon
  "raybio" names it: {"version": 2, "annotated": false, "lists": ["mesh"]}, defaults left out;
- BioC names every annotation: a mention without an id is written as "raybio-1", "raybio-2"...
  and read back without it, unless a relation refers to it by that name.

Mentions read come in the order of the text. Not held: words (`Document.sentences`), and, of
foreign files, infons of passages, annotations and relations other than those above.
Format: Comeau et al. 2013, doi:10.1093/database/bat064, and its DTD, version 1.0.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from raybio.corpora.checks import LARGEST_VERSION
from raybio.corpora.json_text import parsed
from raybio.corpora.limits import MAX_RECORD_BYTES, shown, too_large_problem
from raybio.corpora.standoff import (
    check_inside,
    disagreement,
    in_order,
    integer,
    joined_as,
    probability,
)
from raybio.entities import AttributeValue, Document, Mention, Passage, Record, Rejected, Relation

Node: TypeAlias = dict[str, Any]

BETWEEN = "raybio-between"
OURS = "raybio"
MADE_UP = "raybio-"
WIDEST_GAP = 65_536
"""Characters of the widest gap between passages that is filled; a wider one is a broken offset."""

_PARTS = ("annotations", "relations", "sentences", "infons")
_MUCH_ALIKE = 0.8
_LONGEST_MISSPELT = 20
"""Characters; a longer name is not much alike to any part's."""
_MAX_OUT_OF_ORDER = 1_000
_JOINTS = (" ", "", " ... ", "...", " … ", "…", " [...] ")
REMEDY = "Fix the document: offsets count Unicode code points of the whole document"


def read_document(
    node: object,
    source: str,
    place: str,
    raw: Callable[[], str],
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Record:
    """Return the Document that `node` describes, or else a Rejected with `place` and what `raw` returns.

    Neither its text nor that of all its mentions may have more than `max_record_bytes` characters: offsets
    and lengths of a few digits could name gigabytes.
    """
    try:
        return _document(_mapping(node, "a document"), max_record_bytes)
    except (ValueError, RecursionError) as fault:
        problem = "its values are nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        name = node.get("id") if isinstance(node, Mapping) else ""
        name = str(name) if isinstance(name, str | int) else ""
        return Rejected(source, place, problem, REMEDY, name, raw())


def _document(node: Mapping[str, Any], max_record_bytes: int) -> Document:
    if "passages" not in node:  # misspelt, say: what it holds would be lost
        raise ValueError("the document has no 'passages'")
    passages = _list(node, "passages")
    units = [node, *passages, *(unit for passage in passages for unit in _list(passage, "sentences"))]
    text = _whole_text(passages, max_record_bytes)
    for unit in units:
        _refuse_misspelt(unit)
    relations = tuple(_relation(item) for unit in units for item in _list(unit, "relations"))
    referred = references(relations)
    found: list[Mention] = []
    room = max_record_bytes
    for item in (item for unit in units for item in _list(unit, "annotations")):
        places = _places(item)
        room -= sum(end - start for start, end in places)
        if room < 0:
            raise ValueError(too_large_problem("the text of all its mentions", max_record_bytes))
        found += _mentions(item, places, text, referred)
    attributes, ours = _attributes(_infons(node))
    mentions = in_order(found)
    return Document(
        _text(node.get("id")),
        text,
        tuple(_passage(passage) for passage in passages if _infon(passage, "type") != BETWEEN),
        mentions if mentions or ours.get("annotated", True) else None,
        relations=relations,
        version=_version(ours),
        attributes=attributes,
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


def _whole_text(passages: Iterable[Mapping[str, Any]], max_characters: int) -> str:
    """Lay the passages' texts at their offsets, with spaces in the gaps."""
    laid: list[str] = []
    end = 0
    for passage in passages:
        for offset, text in _texts(passage):
            if not 0 <= offset - end <= WIDEST_GAP:
                raise ValueError(f"a passage begins at {offset}, where the text before it ends at {end}")
            if offset + len(text) > max_characters:
                raise ValueError(too_large_problem("its text with the gaps between passages", max_characters))
            laid += " " * (offset - end), text
            end = offset + len(text)
    whole = "".join(laid)
    _refuse_surrogates(whole)
    return whole


def _texts(passage: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return (offset, text) of a passage, or of each of its sentences where it has no text itself."""
    whole, sentences = _text(passage.get("text")), _list(passage, "sentences")
    position, out_of_order = 0, 0
    for said in (_text(sentence.get("text")) for sentence in sentences if whole):
        # From where the last one was found: to look through all of the text for each would be quadratic.
        found = whole.find(said, position)
        if found < 0:
            found, out_of_order = whole.find(said), out_of_order + 1
        if found < 0:
            raise ValueError(f"the passage's text has not the words of its sentence {shown(said)}")
        if out_of_order > _MAX_OUT_OF_ORDER:
            raise ValueError("the sentences of a passage are not in the order of its text")
        position = found
    units = [passage] if whole or not sentences else sentences
    for unit in units:
        if "text" not in unit:
            raise ValueError(f"the passage or sentence at offset {unit.get('offset')} has no 'text'")
    return [(integer(unit.get("offset"), "offset"), _text(unit.get("text"))) for unit in units]


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the text holds half a surrogate pair at {error.start}") from error


def _passage(node: Mapping[str, Any]) -> Passage:
    texts = _texts(node)
    start, (last, text) = texts[0][0], texts[-1]
    kind = _infon(node, "type") or "text"
    return Passage(start, last + len(text), kind, _infon(node, "label"), _infon(node, "language"))


def _places(annotation: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the `[start, end)` of each location of an annotation."""
    places = []
    for location in _list(annotation, "locations"):
        start = integer(location.get("offset"), "offset")
        places.append((start, start + integer(location.get("length"), "length")))
    return places


def _mentions(
    node: Mapping[str, Any], parts: list[tuple[int, int]], text: str, referred: set[str]
) -> list[Mention]:
    """Return the mentions at the `parts` of one annotation, checked against what the annotation says."""
    label, name = _infon(node, "type"), _text(node.get("id"))
    if not label:
        raise ValueError(f"annotation {shown(name)} has no infon 'type'")
    if not parts:
        raise ValueError(f"annotation {shown(name)} has no location")
    _check_saying(_text(node.get("text")), parts, text)
    name = "" if name.startswith(MADE_UP) and name not in referred else name
    score = probability(said) if (said := _infon(node, "score")) else None
    concept = _infon(node, "identifier")
    return [Mention(start, end, label, text[start:end], score, concept, name) for start, end in parts]


def _check_saying(said: str, parts: list[tuple[int, int]], text: str) -> None:
    """Check an annotation's words: its parts joined in one of the ways seen, or all from first to last."""
    for start, end in parts:
        check_inside(text, start, end)
    first, last = min(start for start, _ in parts), max(end for _, end in parts)
    if joined_as(said, text, [(first, last)], ""):
        return
    if not any(joined_as(said, text, parts, joint) for joint in _JOINTS):
        raise disagreement(first, last, said, text[slice(*parts[0])])


def _relation(node: Mapping[str, Any]) -> Relation:
    arguments = tuple((_text(end.get("role")), _text(end.get("refid"))) for end in _list(node, "nodes"))
    return Relation(_infon(node, "type"), arguments, _text(node.get("id")))


def references(relations: Iterable[Relation]) -> set[str]:
    """Return the ids of what `relations` join."""
    return {reference for relation in relations for _, reference in relation.arguments}


def _attributes(infons: Mapping[str, Any]) -> tuple[dict[str, AttributeValue], Mapping[str, Any]]:
    """Return the attributes among a document's infons, and what the infon "raybio" says."""
    ours = _mapping(_parsed(infons.get(OURS, "{}")), f"infon {OURS!r}")
    lists = ours.get("lists", [])
    if not isinstance(lists, list):
        raise ValueError(f"infon {OURS!r} names the lists with {type(lists).__name__}, not a list")
    attributes: dict[str, AttributeValue] = {}
    for key, value in infons.items():
        items = _parsed(value) if key in lists else value
        if isinstance(items, list):
            attributes[key] = tuple(_text(item) for item in items)
        elif key != OURS:
            attributes[key] = _text(value)
    return attributes, ours


def _parsed(value: object) -> object:
    return parsed(value) if isinstance(value, str) else value


def _infons(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(node.get("infons") or {}, "infons")


def _infon(node: Mapping[str, Any], key: str) -> str:
    return _text(_infons(node).get(key))


def _text(value: object) -> str:
    """Return `value` if it is a string, "" for None, and its JSON otherwise (a number for an id)."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {type(value).__name__}, where BioC has an object")
    return value


def _list(node: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = node.get(key) or []
    if not isinstance(found, list):
        raise ValueError(f"{key!r} is {type(found).__name__}, where BioC has a list")
    return [_mapping(item, f"one of {key!r}") for item in found]
