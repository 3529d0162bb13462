"""Label schemes: how outputs of models and tags of files from elsewhere say where an entity begins and ends.

A tag is a *part* and a label: `B` begins an entity, `I` continues it, `E` is its last word, `S` an entity
of one word, `O` is outside. A `LabelScheme` gives each name, however it is spelled (`B-Disease`,
`b_disease`, `Disease-B`, `L-Disease`, `Disease`), as such a tag, `B-Disease`. One way of reading serves
all schemes: B and S begin an entity, and so do I and E where none of their label is open.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from raybio.entities import Span
from raybio.iob2 import BEGIN, INSIDE, OUTSIDE, label_of, tag_set

SchemeName = Literal["IOB2", "IOB1", "IO", "BIOES", "BILOU"]

UNNAMED = "Entity"
"""The label of bare `B` and `I`."""

# What each letter is; L and U are of BILOU, M and W of BMEWO.
_PARTS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
_LETTERS = "".join(_PARTS)
_FRONT = re.compile(rf"(?P<part>[{_LETTERS}])[-_:|. ](?P<label>.+)", re.IGNORECASE)
_BACK = re.compile(rf"(?P<label>.+)[-_:|. ](?P<part>[{_LETTERS}])", re.IGNORECASE)
_BARE = re.compile(rf"(?P<part>[{_LETTERS}])(?P<label>)", re.IGNORECASE)
_OUTSIDE = re.compile(r"o|0|out|outside|none|null|no[ _-](?:entity|label|ner)", re.IGNORECASE)
_NO_LABEL = re.compile(r"no[ _-](.+)", re.IGNORECASE)
_SPECIAL = re.compile(r"\[(?:PAD|CLS|SEP|UNK|MASK)\]|<.+>|PAD", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:LABEL_)?\d+", re.IGNORECASE)

_BILOU = re.compile(r"[LU](?:[-_:|. ].+)?|.+[-_:|. ][LU]", re.IGNORECASE)


class UnknownSchemeError(ValueError):
    """Names that are of no scheme; `misfits` are those that do not fit, and `problem` says in what way."""

    def __init__(self, problem: str, misfits: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.misfits = tuple(misfits)


@dataclass(frozen=True, slots=True)
class LabelScheme:
    """A scheme's name, and the tag of each name that it was recognised from, in their order.

    Several names may be outside, such as `O` and `[PAD]`.
    """

    name: SchemeName
    tags: tuple[str, ...]

    @classmethod
    def iob2(cls, labels: Iterable[str]) -> LabelScheme:
        """Return IOB2 with the tags of `labels` in the order of `tag_set`."""
        return cls("IOB2", tuple(tag_set(labels)))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of its tags, sorted."""
        return tuple(sorted({label_of(tag) for tag in self.tags} - {""}))

    def may_follow(self, tag: str, before: str) -> bool:
        """Say whether the scheme allows `tag` after `before`; "" is the start or the end of a sentence."""
        part, label = tag[:1] or OUTSIDE, label_of(tag or OUTSIDE)
        open_label = label_of(before) if before[:1] in ("B", "I") else ""
        if self.name in ("BIOES", "BILOU"):
            if open_label and f"E-{open_label}" in self.tags:
                return part in "IE" and label == open_label
            return part not in "IE" or label == open_label
        if self.name == "IOB2":
            return part != "I" or label == open_label
        if self.name == "IOB1":
            return part != "B" or label == open_label
        return True


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the entities of tags of any scheme, in order."""
    spans: list[Span] = []
    start, label = 0, ""
    for i, tag in enumerate([*tags, OUTSIDE]):
        continues = tag[:1] in "IE" and label_of(tag) == label
        if label and not continues:
            spans.append(Span(start, i, label))
            label = ""
        if tag != OUTSIDE and not continues:
            start, label = i, label_of(tag)
        if tag[:1] in "ES":
            spans.append(Span(start, i + 1, label))
            label = ""
    return spans


def recognise(names: Sequence[str], given: Mapping[str, str | None] | None = None) -> LabelScheme:
    """Return the scheme of `names`, each of them once.

    `given` says of names, or of labels, what they are: another name, `O`, or None, which is outside too.
    Labels without a scheme (`Disease`) are IO.

    Raises:
        UnknownSchemeError: they are of no scheme, or `given` names what is not there.
    """
    given = dict(given or {})
    renamed = [(given[name] or OUTSIDE) if name in given else name for name in names]
    others = {key: value for key, value in given.items() if key not in names}
    outside = _outside(renamed)
    inside = list(dict.fromkeys(name for name in renamed if name not in outside))
    if not inside:
        raise UnknownSchemeError("no name of an entity is among them", names)
    if numbered := [name for name in inside if _NUMBERED.fullmatch(name)]:
        raise UnknownSchemeError("they say nothing of what they stand for", numbered)
    parted = _parted(inside)
    if all(part == "I" for part, _ in parted.values()):
        if not outside and not any(map(_FRONT.fullmatch, inside)):
            raise UnknownSchemeError("none of them is outside", inside)
        name: SchemeName = "IO"
    else:
        name = _name(inside, parted)
    labels = {label for _, label in parted.values()}
    if unknown := [key for key in others if key not in labels]:
        raise UnknownSchemeError("no such names, nor labels, are among them", unknown)
    return LabelScheme(name, tuple(_tag(one, parted, others) for one in renamed))


def _outside(names: Collection[str]) -> set[str]:
    """Return the names that are outside: `O`, "No Disease" beside a Disease, and special tokens."""
    parted = (match for pattern in (_FRONT, _BACK) for name in names if (match := pattern.fullmatch(name)))
    labels = {name.lower() for name in names} | {match["label"].lower() for match in parted}
    return {
        name
        for name in names
        if _OUTSIDE.fullmatch(name)
        or _SPECIAL.fullmatch(name)
        or ((negated := _NO_LABEL.fullmatch(name)) and negated[1].lower() in labels)
    }


def _parted(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the part and label of each name.

    Raises:
        UnknownSchemeError: some say their part and some do not.
    """
    readings = []
    for pattern in (_FRONT, _BACK, _BARE):
        found = {name: match for name in names if (match := pattern.fullmatch(name))}
        if len(found) == len(names) and _begins(found.values()):
            return {
                name: (_PARTS[match["part"].upper()], match["label"] or UNNAMED)
                for name, match in found.items()
            }
        readings.append(found)
    best = max(readings, key=len)
    if best and _begins(best.values()):
        misfits = [name for name in names if name not in best]
        raise UnknownSchemeError("others say where an entity begins, and these do not", misfits)
    return {name: ("I", name) for name in names}


def _begins(matches: Iterable[re.Match[str]]) -> bool:
    """Say whether among them is what a scheme has: beginnings, or the inside that IOB1 begins with."""
    return any(match["part"].upper() in "BI" for match in matches)


def _name(names: Sequence[str], parted: Mapping[str, tuple[str, str]]) -> SchemeName:
    parts = {part for part, _ in parted.values()}
    if parts & {"E", "S"}:
        return "BILOU" if any(map(_BILOU.fullmatch, names)) else "BIOES"
    begun = {label for part, label in parted.values() if part == "B"}
    # Where a label has no beginning, its I- begins: IOB1, in which B- parts two that touch.
    return "IOB2" if {label for _, label in parted.values()} == begun else "IOB1"


def _tag(name: str, parted: Mapping[str, tuple[str, str]], given: Mapping[str, str | None]) -> str:
    if name not in parted:
        return OUTSIDE
    part, label = parted[name]
    label = given.get(label, label) or OUTSIDE
    return OUTSIDE if label == OUTSIDE else f"{part}-{label}"


def told_apart(pairs: Iterable[tuple[str, str]]) -> SchemeName:
    """Return which of IOB2 and IOB1 tags with both B- and I- are, by the pairs (before, tag) that occur.

    Before the first of a sentence is `O`. In IOB2 no I- begins an entity, in IOB1 no B- does but right after
    one of its label. What breaks both rules is IOB2 with faults; what breaks neither is IOB2 as well.
    """
    orphans = needless = False
    for before, tag in pairs:
        follows = label_of(tag) == label_of(before)
        orphans |= tag.startswith(INSIDE) and not follows
        needless |= tag.startswith(BEGIN) and not follows
    return "IOB1" if orphans and not needless else "IOB2"
