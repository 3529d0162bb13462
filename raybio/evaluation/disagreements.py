"""Every place where the paper's scorer and the corrected one count differently, and why.

A place is a group of entities of one sentence, gold and predicted, that hang together by shared
words. The road from one scorer to the other has four steps, each mending one quirk; the steps that
change the counts of a place are the reasons for the disagreement there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from raybio.entities import Span
from raybio.evaluation.semeval import (
    Counts,
    Measures,
    Pairing,
    Spans,
    SpanTest,
    judge,
    overlap,
    pair_sentence,
    score_corrected,
    score_paper,
    shared_words,
)


class Quirk(StrEnum):
    """Why two scorers disagree."""

    LAST_WORD = "paper: an entity's last word is left out of the overlap"
    GOLD_TWICE = "paper: a gold entity hit by several predicted ones counts several times"
    SLIVER = "corrected: an overlap below 1 % of the gold entity is none"
    FIRST_OVERLAP = "paper: the type is judged against the first overlap, not the nearest of its label"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One place: the entities there, what each scorer counts, and the reasons."""

    sentence: int
    gold: tuple[Span, ...]
    predicted: tuple[Span, ...]
    paper: Measures[Counts]
    corrected: Measures[Counts]
    reasons: tuple[Quirk, ...]


def find_disagreements(gold: Sequence[Spans], predicted: Sequence[Spans]) -> Iterator[Disagreement]:
    """Yield the places where the scorers disagree, in order; `sentence` is its index from 0."""
    for index, (ours, theirs) in enumerate(zip(gold, predicted, strict=True)):
        for here_gold, here_predicted in _places(ours, theirs):
            if here_gold == here_predicted:
                continue
            paper = score_paper([here_gold], [here_predicted])
            corrected = score_corrected([here_gold], [here_predicted])
            if paper != corrected:
                reasons = tuple(_reasons(here_gold, here_predicted))
                yield Disagreement(index, tuple(here_gold), tuple(here_predicted), paper, corrected, reasons)


def _places(gold: Spans, predicted: Spans) -> Iterator[tuple[list[Span], list[Span]]]:
    """Yield groups of entities that hang together by shared words, where both kinds are present."""
    here: tuple[list[Span], list[Span]] = ([], [])
    end = 0
    sides = [(span, 0) for span in gold] + [(span, 1) for span in predicted]
    for span, side in sorted(sides, key=lambda item: item[0].start):
        if span.start >= end:
            if all(here):
                yield here
            here = ([], [])
        here[side].append(span)
        end = max(end, span.end)
    if all(here):
        yield here


def _reasons(gold: Spans, predicted: Spans) -> Iterator[Quirk]:
    """Walk from the paper's counts to the corrected ones and yield each step that changes them."""
    steps = [
        (Quirk.LAST_WORD, _score(gold, predicted, _share_a_word, once=False)),
        (Quirk.GOLD_TWICE, _score(gold, predicted, _share_a_word, once=True)),
        (Quirk.SLIVER, _score(gold, predicted, overlap, once=True)),
        (Quirk.FIRST_OVERLAP, score_corrected([gold], [predicted])),
    ]
    before = score_paper([gold], [predicted])
    for quirk, after in steps:
        if after != before:
            yield quirk
        before = after


def _score(gold: Spans, predicted: Spans, overlaps: SpanTest, once: bool) -> Measures[Counts]:
    pairs = pair_sentence(gold, predicted, overlaps, once)
    return judge(Pairing(pairs, pairs))


def _share_a_word(gold: Span, predicted: Span) -> bool:
    return shared_words(gold, predicted) > 0
