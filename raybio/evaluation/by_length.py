"""Scores for entities of one word, two words, and three or more.

**paper** is the study's way. Every gold entity becomes a mini-sentence of exactly its own words,
with the prediction cut to them, in the group of its length; every gold `O` word becomes a one-word
sentence in the group of length 1. So a prediction that reaches past its gold entity is cut into
correctness, and every word predicted outside gold lowers the precision of length 1 and of no other.

**sound** pairs whole sentences the corrected way and then groups gold entities by their own length,
for recall, and predicted entities by their own length, for precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from raybio.entities import Span
from raybio.evaluation.semeval import (
    Counts,
    Measures,
    Pair,
    Pairing,
    Spans,
    harmonic_mean,
    judge,
    overlap_in_paper,
    pair_sentence,
)

GROUPS = ("length_1", "length_2", "length_3plus")


@dataclass(frozen=True, slots=True)
class TwoSided:
    """One measure for one length, seen from both sides.

    `gold` counts the outcomes of the gold entities of this length (none is spurious), `predicted` what
    became of the predicted entities of this length (none is missed). A matching pair has the same
    length on both sides, and so the same `correct` count, in all measures but type; an overlapping
    pair may be of two lengths.
    """

    gold: Counts
    predicted: Counts

    @property
    def precision(self) -> float:
        """Precision of the predicted entities of this length."""
        return self.predicted.precision

    @property
    def recall(self) -> float:
        """Recall of the gold entities of this length."""
        return self.gold.recall

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return harmonic_mean(self.precision, self.recall)

    def to_dict(self) -> dict[str, float | int]:
        """Return ratios and counts by name.

        `correct`, `incorrect`, `partial` and `missed` are counts of gold entities and add up to
        `possible`; `correct_predicted`, `incorrect_predicted`, `partial_predicted` and `spurious`
        are counts of predicted entities and add up to `actual`.
        """
        return self.gold.to_dict() | {
            "precision": self.precision,
            "f1": self.f1,
            "spurious": self.predicted.spurious,
            "actual": self.predicted.actual,
            "correct_predicted": self.predicted.correct,
            "incorrect_predicted": self.predicted.incorrect,
            "partial_predicted": self.predicted.partial,
        }


def group_of(span: Span) -> str:
    """Return the name of the group for `span`'s length in words."""
    return GROUPS[min(len(span), len(GROUPS)) - 1]


def paper_by_length(gold: Sequence[Spans], predicted: Sequence[Spans]) -> dict[str, Measures[Counts]]:
    """Score each length as the study does; one item of each input is one sentence's entities."""
    pairs: dict[str, list[Pair]] = {group: [] for group in GROUPS}
    for ours, theirs in zip(gold, predicted, strict=True):
        for entity in ours:
            cut = list(_cut(theirs, entity))
            pairs[group_of(entity)] += pair_sentence([entity], cut, overlap_in_paper, once=False)
        pairs["length_1"] += [(None, word) for word in _words_outside(ours, theirs)]
    return {group: judge(Pairing(found, found)) for group, found in pairs.items()}


def _cut(predicted: Spans, entity: Span) -> Iterator[Span]:
    """Yield the pieces of `predicted` inside `entity`."""
    for span in predicted:
        start, end = max(span.start, entity.start), min(span.end, entity.end)
        if start < end:
            yield Span(start, end, span.label)


def _words_outside(gold: Spans, predicted: Spans) -> Iterator[Span]:
    """Yield each predicted word that no gold entity covers, as an entity of its own."""
    covered = {word for span in gold for word in range(span.start, span.end)}
    for span in predicted:
        for word in range(span.start, span.end):
            if word not in covered:
                yield Span(word, word + 1, span.label)


def sound_by_length(pairing: Pairing) -> dict[str, Measures[TwoSided]]:
    """Score each length by both sides; `pairing` is what `corrected_pairs` makes of whole sentences."""
    of_gold, of_predicted = _judge_groups(pairing, side=0), _judge_groups(pairing, side=1)
    return {group: _two_sided(of_gold[group], of_predicted[group]) for group in GROUPS}


def _judge_groups(pairing: Pairing, side: int) -> dict[str, Measures[Counts]]:
    """Judge the pairs by the length of their gold (side 0) or predicted (side 1) entity."""
    by_words, by_label = _grouped(pairing.by_words, side), _grouped(pairing.by_label, side)
    return {group: judge(Pairing(by_words[group], by_label[group])) for group in GROUPS}


def _grouped(pairs: Iterable[Pair], side: int) -> dict[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {group: [] for group in GROUPS}
    for pair in pairs:
        entity = pair[side]
        if entity is not None:
            groups[group_of(entity)].append(pair)
    return groups


def _two_sided(gold: Measures[Counts], predicted: Measures[Counts]) -> Measures[TwoSided]:
    return Measures(
        strict=TwoSided(gold.strict, predicted.strict),
        exact=TwoSided(gold.exact, predicted.exact),
        partial=TwoSided(gold.partial, predicted.partial),
        type=TwoSided(gold.type, predicted.type),
    )
