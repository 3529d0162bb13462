"""The annotations and relations of BioC's tree -> mentions and relations; `bioc` describes both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from raybio.corpora.bioc_nodes import MADE_UP, Home, Node, Path, Unit, home_of, items, split_infons, with_ours
from raybio.corpora.infons import (
    Arguments,
    arguments_of,
    left_of_mention,
    left_of_relation,
    mention_fields,
    positional,
    relation_label,
    text_of,
)
from raybio.corpora.limits import too_large_problem
from raybio.corpora.standoff import check_inside, disagreement, integer, joined_as
from raybio.entities import Mention, Relation

_JOINTS = (" ", "", " ... ", "...", " … ", "…", " [...] ")


@dataclass(slots=True)
class _Annotation:
    path: Path
    said: str
    places: list[tuple[int, int]]
    fields: tuple[str, str, float | None]
    infons: Node
    ours: Node
    name: str = ""

    def alike(self) -> object:
        return self.said, self.fields, repr(sorted(self.infons.items()))


@dataclass
class Annotated:
    """The annotations of a document: `others` are those without a label or a place."""

    mentions: list[Mention] = field(default_factory=list)
    relations: tuple[Relation, ...] = ()
    others: list[Node] = field(default_factory=list)


def annotated(units: Sequence[Unit], text: str, homes: Sequence[Home], max_characters: int) -> Annotated:
    """Return the mentions and relations in `units`, which are in the order of the document.

    Raises:
        ValueError: one is not as BioC says, or all of them have more than `max_characters`.
    """
    found = Annotated()
    annotations: list[_Annotation] = []
    room = max_characters
    for path, node in ((unit.path, each) for unit in units for each in items(unit.node, "annotations")):
        places = _places(node)
        room -= sum(end - start for start, end in places)
        if room < 0:
            raise ValueError(too_large_problem("the text of all its mentions", max_characters))
        infons, ours = split_infons(node, "annotation")
        fields = mention_fields(infons)
        if not places or not fields[0]:
            found.others.append({**node, "level": list(path)})
            continue
        _check_saying(text_of(node.get("text")), places, text)
        left = left_of_mention(infons, *fields)
        annotations.append(_Annotation(path, text_of(node.get("id")), places, fields, left, ours))
    annotations.sort(key=lambda each: each.places)
    local = [(unit.path, node) for unit in units for node in items(unit.node, "relations")]
    referred = {_text_at(end, "refid") for _, node in local for end in items(node, "nodes")}
    scoped = {_text_at(end, "refid") for path, node in local if path for end in items(node, "nodes")}
    _name(annotations, referred, scoped)
    ends = [home.end for home in homes]
    for each in annotations:
        if each.path != home_of(homes, ends, each.places[0][0]):
            each.ours["level"] = list(each.path)
        found.mentions += _mentions(each, text)
    named: dict[str, list[_Annotation]] = defaultdict(list)
    for each in annotations:
        named[each.said].append(each)
    known = {name for each in annotations for name in (each.name, each.fields[1]) if name}
    found.relations = tuple(_relation(path, node, named, known) for path, node in local)
    return found


def _places(annotation: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the `[start, end)` of each location of an annotation."""
    places = []
    for location in items(annotation, "locations"):
        start = integer(location.get("offset"), "offset")
        places.append((start, start + integer(location.get("length"), "length")))
    return places


def _check_saying(said: str, parts: list[tuple[int, int]], text: str) -> None:
    """Check an annotation's words: its parts joined in one of the ways seen, or all from first to last."""
    for start, end in parts:
        check_inside(text, start, end)
    first, last = min(start for start, _ in parts), max(end for _, end in parts)
    if joined_as(said, text, [(first, last)], ""):
        return
    if not any(joined_as(said, text, parts, joint) for joint in _JOINTS):
        raise disagreement(first, last, said, text[slice(*parts[0])])


def _name(annotations: Iterable[_Annotation], referred: set[str], scoped: set[str]) -> None:
    """Give each annotation a name by which the document's mentions and relations know it.

    That is its id, unless an annotation alike has it too, or another one that a relation inside a
    passage could mean: mentions that share an id, and are alike, are parts of one annotation.
    """
    taken = {each.said for each in annotations}
    seen: set[object] = set()
    for each in annotations:
        if each.said.startswith(MADE_UP) and each.said not in referred:
            continue
        each.name = each.said
        marks = {each.alike()} | ({each.said} if each.said in scoped else set())
        if each.said and marks & seen:
            number = 2
            while (name := f"{each.said}~{number}") in taken:
                number += 1
            taken.add(name)
            each.name, each.ours["id"] = name, each.said
        seen |= marks


def _mentions(annotation: _Annotation, text: str) -> Iterator[Mention]:
    label, concept, score = annotation.fields
    infons = with_ours(annotation.infons, annotation.ours)
    for start, end in annotation.places:
        yield Mention(start, end, label, text[start:end], score, concept, annotation.name, infons)


def _relation(
    path: Path, node: Mapping[str, Any], named: Mapping[str, list[_Annotation]], known: set[str]
) -> Relation:
    infons, ours = split_infons(node, "relation")
    ends = [(_text_at(end, "role"), _text_at(end, "refid")) for end in items(node, "nodes")]
    nodes: Arguments = tuple((role, _nearest(path, said, named)) for role, said in ends)
    label = relation_label(infons)
    arguments = arguments_of(nodes, infons, known)
    if "arguments" in ours:
        arguments = tuple((text_of(role), text_of(reference)) for role, reference in ours.pop("arguments"))
    elif nodes and (arguments != nodes or (positional(nodes) and not any(said in named for _, said in ends))):
        ours["nodes"] = [dict(end) for end in items(node, "nodes")]
    elif not nodes and not any(reference in named for _, reference in arguments):
        again = positional(arguments)  # what is written for these arguments, where all of it is there
        if all(infons.get(key) == value for key, value in again.items()):
            infons = {key: value for key, value in infons.items() if key not in again}
    if path:
        ours["level"] = list(path)
    left = with_ours(left_of_relation(infons, label), ours)
    return Relation(label, arguments, text_of(node.get("id")), left)


def _nearest(path: Path, said: str, named: Mapping[str, list[_Annotation]]) -> str:
    """Return the name of the annotation that a relation at `path` calls `said`: the nearest of that id."""
    candidates = named.get(said, ())
    if not candidates:
        return said

    def shared(each: _Annotation) -> int:
        pairs = zip(path, each.path, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    return max(candidates, key=shared).name or said


def _text_at(node: Mapping[str, Any], key: str) -> str:
    return text_of(node.get(key))
