"""What the standoff formats share: offsets that must cover their text, and parts of one annotation.

PubTator, BioC and brat keep annotations apart from the text, as offsets plus the words they
are said to cover. Real files are sometimes off; nothing is moved to fit: a document whose
offsets and words disagree is rejected when read and refused when written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from raybio.corpora.limits import shown
from raybio.entities import Document, Mention
from raybio.errors import FormatError, OffsetError

_INTEGER = re.compile(r"-?[0-9]{1,15}")


def integer(value: object, name: str) -> int:
    """Return `value`, an int or the decimal digits of one, as an int; `name` names it in the error.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise ValueError(f"{name} {shown(value)} is not an integer")


def covered(text: str, start: int, end: int) -> str:
    """Return `text[start:end]`.

    Raises:
        ValueError: as `check_inside` has it.
    """
    check_inside(text, start, end)
    return text[start:end]


def joined_as(
    said: str,
    text: str,
    places: Sequence[tuple[int, int]],
    joint: str,
    changed: Mapping[int, int] | None = None,
) -> bool:
    """Say whether `said` is the pieces of `text` at `places`, joined by `joint`.

    `changed` maps characters of the text to those that stand for them, as `str.translate` does.

    In time and memory of `said`: a few bytes may name a piece of megabytes, again and again.
    """
    if len(said) != sum(end - start for start, end in places) + len(joint) * (len(places) - 1):
        return False
    position = 0
    for start, end in places:
        if position:
            if not said.startswith(joint, position):
                return False
            position += len(joint)
        piece = text[start:end]
        if not said.startswith(piece.translate(changed) if changed else piece, position):
            return False
        position += end - start
    return True


def check_inside(text: str, start: int, end: int) -> None:
    """Refuse a mention's place that is not inside `text`.

    Raises:
        ValueError: `[start, end)` is empty, negative or reaches past the end of `text`.
    """
    if start < 0:
        raise ValueError(f"a mention starts at {start}, before the text")
    if start >= end:
        raise ValueError(f"a mention at {start}-{end} does not end after it starts")
    if end > len(text):
        raise ValueError(f"a mention at {start}-{end} reaches past the end of the text at {len(text)}")


def probability(value: str) -> float:
    """Return the score that `value` writes.

    Raises:
        ValueError: it is no number in [0, 1].
    """
    score = float(value)
    if not 0 <= score <= 1:
        raise ValueError(f"the score {shown(value)} is not in [0, 1]")
    return score


def disagreement(start: int, end: int, said: str, found: str) -> ValueError:
    """Return the error for a mention that says one text where its offsets cover another."""
    return ValueError(f"the mention at {start}-{end} says {shown(said)} but the text there is {shown(found)}")


def check_mentions(document: Document) -> None:
    """Refuse to write a document with a mention that does not cover its text.

    Raises:
        OffsetError: names the document and the mention.
    """
    for mention in document.mentions or ():
        try:
            found = covered(document.text, mention.start, mention.end)
            if found != mention.text:
                raise disagreement(mention.start, mention.end, mention.text, found)
        except ValueError as error:
            raise OffsetError(
                "output", f"document {document.id!r}", str(error), "Fix the mention's offsets"
            ) from error


def cannot_hold(format_name: str, document: Document, problem: str, remedy: str) -> FormatError:
    """Return the error for a document that a format has no way to write."""
    return FormatError("output", f"document {document.id!r}", f"{format_name} cannot hold {problem}", remedy)


def annotation_parts(mentions: Iterable[Mention]) -> list[list[Mention]]:
    """Group the parts of each annotation: mentions alike in a non-empty id and all else but their place.

    Groups come in the order of their first part. A mention without an id is alone.
    """
    groups: dict[object, list[Mention]] = {}
    for place, mention in enumerate(mentions):
        said = repr(sorted(mention.infons.items())) if mention.infons else ""
        alike = (mention.id, mention.label, mention.concept, mention.score, said)
        groups.setdefault(alike if mention.id else place, []).append(mention)
    return list(groups.values())


def in_order(mentions: Iterable[Mention]) -> tuple[Mention, ...]:
    """Return `mentions` in the order of the text: by start, end, and then all else."""

    def place(mention: Mention) -> tuple[int, int, str, str, str, float, str]:
        score = -1.0 if mention.score is None else mention.score
        infons = repr(sorted(mention.infons.items())) if mention.infons else ""
        return mention.start, mention.end, mention.label, mention.concept, mention.id, score, infons

    return tuple(sorted(mentions, key=place))
