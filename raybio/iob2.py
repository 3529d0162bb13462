"""IOB2 tags <-> spans.

`B-X` opens an entity of label X, `I-X` continues one, `O` is outside. A continuation that
follows no entity of its own label is an *orphan*. `check_tags` refuses orphans; everything
else reads an orphan as the start of an entity, which is what the study and nervaluate do
(seqeval's strict mode drops it: scores of the two agree only on repaired tags).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

from raybio.entities import Span
from raybio.errors import TagError

OUTSIDE = "O"
BEGIN = "B-"
INSIDE = "I-"


def label_of(tag: str) -> str:
    """Return "Disease" for "B-Disease" or "I-Disease", and "" for "O"."""
    return "" if tag == OUTSIDE else tag[2:]


def inside(tag: str) -> str:
    """Return the tag of a word that continues the entity, or the outside, of one with `tag`."""
    return tag if tag == OUTSIDE else INSIDE + label_of(tag)


def is_tag(tag: str) -> bool:
    """Say whether `tag` is "O", or "B-" or "I-" followed by a label."""
    return tag == OUTSIDE or (tag[:2] in (BEGIN, INSIDE) and len(tag) > 2)


def tag_set(labels: Iterable[str]) -> list[str]:
    """Return "O" and then each label's two tags, labels in sorted order."""
    return [OUTSIDE, *(prefix + label for label in sorted(set(labels)) for prefix in (BEGIN, INSIDE))]


def may_follow(tag: str, before: str) -> bool:
    """Say whether `tag` is legal after a word of the label `before` ("": outside, or no word)."""
    return not tag.startswith(INSIDE) or tag[2:] == before


def orphans(tags: Sequence[str]) -> list[int]:
    """Return the positions of `I-X` tags that follow neither `B-X` nor `I-X`."""
    befores = ["", *map(label_of, tags)]
    return [
        i for i, (tag, before) in enumerate(zip(tags, befores, strict=False)) if not may_follow(tag, before)
    ]


def repair_tags(tags: Sequence[str]) -> tuple[list[str], int]:
    """Turn each orphan `I-X` into `B-X`; return the tags and how many were repaired."""
    found = orphans(tags)
    repaired = list(tags)
    for i in found:
        repaired[i] = BEGIN + repaired[i][2:]
    return repaired, len(found)


def spans_from_tags(tags: Sequence[str]) -> list[Span]:
    """Return the entities in `tags`, in order; an orphan `I-X` starts one."""
    spans: list[Span] = []
    start, label = 0, ""
    for i, tag in enumerate(tags):
        if tag == OUTSIDE and not label:  # most words by far
            continue
        continues = tag.startswith(INSIDE) and tag[2:] == label
        if continues:
            continue
        if label:
            spans.append(Span(start, i, label))
        start, label = i, label_of(tag)
    if label:
        spans.append(Span(start, len(tags), label))
    return spans


def tags_from_spans(spans: Iterable[Span], length: int) -> list[str]:
    """Return `length` tags for `spans`, which must neither overlap nor leave `[0, length)`.

    Raises:
        ValueError: two spans share a word, or one is empty or outside.
    """
    tags = [OUTSIDE] * length
    for span in spans:
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} is empty or outside a sentence of {length} words")
        if any(tag != OUTSIDE for tag in tags[span.start : span.end]):
            raise ValueError(f"{span} overlaps another span; flatten the spans first")
        tags[span.start] = BEGIN + span.label
        tags[span.start + 1 : span.end] = [INSIDE + span.label] * (len(span) - 1)
    return tags


def flatten_spans(spans: Iterable[Span]) -> tuple[list[Span], list[Span]]:
    """Choose spans that do not overlap: longest first, then leftmost, then by label.

    Returns the kept spans in order of position, and the dropped ones in order of position.
    """
    kept: list[Span] = []
    dropped: list[Span] = []
    taken: set[int] = set()
    for span in sorted(set(spans), key=lambda s: (-len(s), s.start, s.label)):
        # None that is kept is shorter, so one that overlaps it holds one of its ends.
        if span.start not in taken and span.end - 1 not in taken:
            taken.update(range(span.start, span.end))
            kept.append(span)
        else:
            dropped.append(span)
    return sorted(kept), sorted(dropped)


def check_tags(
    tags: Sequence[str], source: str, first_line: int, labels: Iterable[str] | None = None
) -> None:
    """Refuse tags outside the scheme, outside `labels` (when given), and orphans.

    Raises:
        TagError: names `source` and the line of the first bad tag, counted from `first_line`.
    """
    known = None if labels is None else set(labels)
    orphaned = set(orphans(tags))
    for i, tag in enumerate(tags):
        if not is_tag(tag):
            raise not_a_tag(tag, source, f"line {first_line + i}")
        if known is not None and tag != OUTSIDE and label_of(tag) not in known:
            raise unknown_label(label_of(tag), known, source, f"line {first_line + i}")
        if i in orphaned:
            problem = f"{tag!r} continues no entity"
            remedy = f"Write B-{label_of(tag)} there, or have it repaired: raybio corpus convert --repair"
            raise TagError(source, f"line {first_line + i}", problem, remedy)


def not_a_tag(tag: str, source: str, place: str) -> TagError:
    """Return the error for a tag outside the scheme."""
    return TagError(source, place, f"{tag!r} is not an IOB2 tag", "Write O, B-LABEL or I-LABEL")


def unknown_label(label: str, known: Collection[str], source: str, place: str) -> TagError:
    """Return the error for a label that is not one of `known`; it offers the nearest one."""
    near = difflib.get_close_matches(label, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return TagError(
        source, place, f"unknown label {label!r}", f"{hint}Known labels: {', '.join(sorted(known))}"
    )
