"""SemEval 2013 task 9.1 measures, with the study's pairing of entities and with the corrected one.

Each predicted entity is paired with at most one gold entity, and each pair is judged four ways:

    strict    same words and same label
    exact     same words, whatever the label
    partial   same words counts 1, overlapping words count 1/2, whatever the label
    type      same label, however far the words overlap

What is left of gold is missed, what is left of the predicted is spurious. The two scorers share
these judgements and differ only in who is paired with whom:

**paper** is the study's scorer, which counts like the NER-Evaluation code behind nervaluate's early
versions. A predicted entity takes the first gold entity it overlaps. Two quirks: the overlap leaves
out each entity's last word, so that a one-word entity overlaps nothing but its equal; and a gold
entity may be taken many times, each of which counts as possible.

**corrected** equals nervaluate 1.2.1 and later (1.1.0 counts type otherwise, and 1.1.0 and 1.2.0 lose
half credits of partial over several sentences). A predicted entity takes the
first overlapping gold entity that is still free; for the type measure it takes, of those, the one of
its own label whose boundaries are nearest, and one of another label only where there is none. Kept
from nervaluate because equality is the point: pairing goes from left to right and is not always the
best one for the type measure, and an overlap of less than 1 % of the gold entity is none.

Entities of one sentence must not overlap among themselves; those read from tags never do.

Source: Segura-Bedmar, Martínez and Herrero-Zazo, "SemEval-2013 Task 9: Extraction of Drug-Drug
Interactions from Biomedical Texts", 2013 (S13-2056).
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from raybio.entities import Span

Spans: TypeAlias = Sequence[Span]
Pair: TypeAlias = tuple[Span | None, Span | None]
SpanTest: TypeAlias = Callable[[Span, Span], bool]

MEASURES = ("strict", "exact", "partial", "type")


class Score(Protocol):
    """What one measure says: anything that can be written as a JSON object."""

    def to_dict(self) -> dict[str, float | int]:
        """Return the figures by name; ratios are fractions in [0, 1]."""
        ...


ScoreT = TypeVar("ScoreT", bound=Score)


def harmonic_mean(precision: float, recall: float) -> float:
    """Return F1, which is 0 where both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """The outcomes of the entities under one measure.

    Only the partial measure has `partial` matches, and each is worth half a correct one. A ratio
    with nothing below the line is 0.
    """

    correct: int = 0
    incorrect: int = 0
    partial: int = 0
    missed: int = 0
    spurious: int = 0

    @property
    def possible(self) -> int:
        """Gold entities (those the paper's scorer pairs twice count twice)."""
        return self.correct + self.incorrect + self.partial + self.missed

    @property
    def actual(self) -> int:
        """Predicted entities."""
        return self.correct + self.incorrect + self.partial + self.spurious

    @property
    def precision(self) -> float:
        """(correct + partial / 2) / actual."""
        return (self.correct + 0.5 * self.partial) / self.actual if self.actual else 0.0

    @property
    def recall(self) -> float:
        """(correct + partial / 2) / possible."""
        return (self.correct + 0.5 * self.partial) / self.possible if self.possible else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return harmonic_mean(self.precision, self.recall)

    def to_dict(self) -> dict[str, float | int]:
        """Return ratios and counts by name."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "correct": self.correct,
            "incorrect": self.incorrect,
            "partial": self.partial,
            "missed": self.missed,
            "spurious": self.spurious,
            "possible": self.possible,
            "actual": self.actual,
        }


@dataclass(frozen=True, slots=True)
class Measures(Generic[ScoreT]):
    """The four measures of the same predictions."""

    strict: ScoreT
    exact: ScoreT
    partial: ScoreT
    type: ScoreT

    def to_dict(self) -> dict[str, dict[str, float | int]]:
        """Return each measure's figures by name."""
        return {name: getattr(self, name).to_dict() for name in MEASURES}


class Pairing(NamedTuple):
    """Gold and predicted entities side by side; None stands where one has no partner.

    `by_words` is what strict, exact and partial judge, `by_label` what type judges.
    """

    by_words: list[Pair]
    by_label: list[Pair]


def same_words(gold: Span, predicted: Span) -> bool:
    """Say whether both cover the same words."""
    return gold.start == predicted.start and gold.end == predicted.end


def same_label(gold: Span, predicted: Span) -> bool:
    """Say whether both have the same label."""
    return gold.label == predicted.label


def shared_words(gold: Span, predicted: Span) -> int:
    """Return how many words both cover (negative: how far they are apart)."""
    return min(gold.end, predicted.end) - max(gold.start, predicted.start)


def overlap_in_paper(gold: Span, predicted: Span) -> bool:
    """Say whether the study's scorer sees an overlap: same words, or two shared but for the last.

    It intersects `range(start, last)`, where `last` is each entity's last word, which falls out.
    """
    return same_words(gold, predicted) or shared_words(gold, predicted) > 1


def overlap(gold: Span, predicted: Span) -> bool:
    """Say whether at least one word, and 1 % of the gold entity's words, is shared (nervaluate's rule)."""
    shared = shared_words(gold, predicted)
    return shared > 0 and 100 * shared >= len(gold)


def no_preference(gold: Span, predicted: Span) -> tuple[bool, int]:
    """Rank every gold entity alike, so that the first is taken."""
    return (False, 0)


def nearest_of_same_label(gold: Span, predicted: Span) -> tuple[bool, int]:
    """Rank gold entities of the predicted label first, by distance of boundaries; then the others alike."""
    if not same_label(gold, predicted):
        return (True, 0)
    return (False, abs(gold.start - predicted.start) + abs(gold.end - predicted.end))


def pair_sentence(
    gold: Spans,
    predicted: Spans,
    overlaps: SpanTest,
    once: bool,
    rank: Callable[[Span, Span], tuple[bool, int]] = no_preference,
) -> list[Pair]:
    """Pair the entities of one sentence, predicted ones from left to right.

    Each takes, among the gold entities that `overlaps` accepts, the first of lowest `rank`; with
    `once`, one that nobody took before.
    """
    if gold == predicted:  # They do not overlap among themselves, so every rule pairs equal with equal.
        return list(zip(gold, predicted, strict=True))
    pairs: list[Pair] = []
    taken: set[Span] = set()
    for entity in predicted:
        candidates = [g for g in gold if overlaps(g, entity) and not (once and g in taken)]
        partner = min(candidates, key=lambda g: rank(g, entity), default=None)
        pairs.append((partner, entity))
        if partner is not None:
            taken.add(partner)
    pairs.extend((g, None) for g in gold if g not in taken)
    return pairs


def paper_pairs(gold: Iterable[Spans], predicted: Iterable[Spans]) -> Pairing:
    """Pair all sentences the study's way; its type measure judges the same pairs as the others."""
    pairs: list[Pair] = []
    for ours, theirs in zip(gold, predicted, strict=True):
        pairs += pair_sentence(ours, theirs, overlap_in_paper, once=False)
    return Pairing(pairs, pairs)


def corrected_pairs(gold: Iterable[Spans], predicted: Iterable[Spans]) -> Pairing:
    """Pair all sentences the corrected way."""
    by_words: list[Pair] = []
    by_label: list[Pair] = []
    for ours, theirs in zip(gold, predicted, strict=True):
        by_words += pair_sentence(ours, theirs, overlap, once=True)
        by_label += pair_sentence(ours, theirs, overlap, once=True, rank=nearest_of_same_label)
    return Pairing(by_words, by_label)


def count(pairs: Iterable[Pair], matches: SpanTest, otherwise: str = "incorrect") -> Counts:
    """Count pairs that match as correct and the rest as `otherwise`, "incorrect" or "partial"."""
    outcomes: Counter[str] = Counter()
    for gold, predicted in pairs:
        if gold is None:
            outcomes["spurious"] += 1
        elif predicted is None:
            outcomes["missed"] += 1
        else:
            outcomes["correct" if matches(gold, predicted) else otherwise] += 1
    return Counts(**outcomes)


def judge(pairing: Pairing) -> Measures[Counts]:
    """Judge the pairs by each measure."""
    return Measures(
        strict=count(pairing.by_words, operator.eq),
        exact=count(pairing.by_words, same_words),
        partial=count(pairing.by_words, same_words, otherwise="partial"),
        type=count(pairing.by_label, same_label),
    )


def score_paper(gold: Iterable[Spans], predicted: Iterable[Spans]) -> Measures[Counts]:
    """Score as the study's own scorer does; one item of each input is one sentence's entities."""
    return judge(paper_pairs(gold, predicted))


def score_corrected(gold: Iterable[Spans], predicted: Iterable[Spans]) -> Measures[Counts]:
    """Score as nervaluate 1.2.1 and later does; one item of each input is one sentence's entities."""
    return judge(corrected_pairs(gold, predicted))


def score_by_label(gold: Sequence[Spans], predicted: Sequence[Spans]) -> dict[str, Measures[Counts]]:
    """Score each label alone, the corrected way, as if no other label existed; labels are sorted."""
    labels = sorted({span.label for spans in (*gold, *predicted) for span in spans})
    return {label: score_corrected(_only(label, gold), _only(label, predicted)) for label in labels}


def _only(label: str, sentences: Sequence[Spans]) -> list[list[Span]]:
    return [[span for span in spans if span.label == label] for spans in sentences]
