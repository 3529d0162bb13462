"""How far strict scores would move with other documents: the paired bootstrap.

Documents are drawn with replacement, as many as there are, and scored again; sentences of one
document stay together because their errors do. Where documents are unknown each sentence is drawn
by itself, and intervals come out too narrow where errors do go together.

The interval is the percentile interval: Efron and Tibshirani, "An Introduction to the Bootstrap",
1993, chapter 13. The difference of two taggers is taken on the same draws for both (paired); its
two-sided p-value recentres the draws on "no difference", as in Berg-Kirkpatrick, Burkett and Klein,
"An Empirical Investigation of Statistical Significance in NLP", 2012 (D12-1091):

    p = (1 + #{i : |d_i - d| >= |d|}) / (1 + samples)

where d is the difference seen and d_i that of draw i. The ones keep p above 0, which no finite
number of draws can show (Davison and Hinkley, "Bootstrap Methods and their Application", 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from raybio.errors import InputError, UsageError
from raybio.evaluation.by_length import group_of
from raybio.evaluation.parallel import TagLists, check_documents, read_parallel
from raybio.evaluation.semeval import Spans

Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, as fractions."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals of the strict scores, and how they were drawn.

    `units` is the number of documents drawn from; `unit` says "sentence" where each has one alone.
    """

    precision: Interval
    recall: Interval
    f1: Interval
    confidence: float
    samples: int
    units: int
    unit: str
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name; an interval is {"low", "high"}."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """Strict F1 of tagger a less that of tagger b, as a fraction.

    `p_value` is two-sided: how often so large a difference comes of the choice of documents alone.
    """

    f1: float
    interval: Interval
    p_value: float
    confidence: float
    samples: int
    units: int
    unit: str
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name; an interval is {"low", "high"}."""
        return asdict(self)


def bootstrap_interval(
    gold: TagLists,
    predicted: TagLists,
    documents: Sequence[str] | None = None,
    samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    group: str | None = None,
) -> Intervals:
    """Return intervals of strict precision, recall and F1, of entities of one length where `group` names it.

    `documents` holds each sentence's document id; an empty id is unknown. Groups are `by_length.GROUPS`;
    what matches strictly is of one length, so that these are intervals of its sound scores.

    Raises:
        InputError: the inputs are not parallel, or hold no sentence.
        UsageError: `samples` is below 1 or `confidence` not between 0 and 1.
    """
    _check_request(samples, confidence)
    counts = _counts_by_unit(gold, predicted, documents, group)
    ratios = _ratios(_draw(counts, samples, seed))
    precision, recall, f1 = (_percentiles(ratios[:, column], confidence) for column in range(3))
    return Intervals(precision, recall, f1, confidence, samples, len(counts), unit_name(documents), seed)


def paired_difference(
    gold: TagLists,
    predicted_a: TagLists,
    predicted_b: TagLists,
    documents: Sequence[str] | None = None,
    samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Difference:
    """Return how much better a is than b in strict F1, with interval and p-value.

    `documents` holds each sentence's document id; an empty id is unknown.

    Raises:
        InputError: the inputs are not parallel, or hold no sentence.
        UsageError: `samples` is below 1 or `confidence` not between 0 and 1.
    """
    return mean_difference(gold, [predicted_a], [predicted_b], documents, samples, seed, confidence)


def mean_difference(
    gold: TagLists,
    several_a: Sequence[TagLists],
    several_b: Sequence[TagLists],
    documents: Sequence[str] | None = None,
    samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Difference:
    """Return how much better a is than b in mean strict F1, each trained with several seeds.

    Each of `several_a` and `several_b` is the prediction of one seed; the two may have other numbers of
    them. Documents are drawn, the same for all, and seeds are taken as they are: how far those are apart
    is shown by the spread of their F1, not by this interval.

    Raises:
        InputError: the inputs are not parallel, or hold no sentence.
        UsageError: `samples` is below 1, `confidence` not between 0 and 1, or one side has no prediction.
    """
    _check_request(samples, confidence)
    if not several_a or not several_b:
        raise UsageError("a difference needs a prediction of each side")
    both = np.hstack([_counts_by_unit(gold, each, documents) for each in (*several_a, *several_b)])
    seen = float(_f1_differences(both.sum(axis=0, keepdims=True), len(several_a))[0])
    drawn = _f1_differences(_draw(both, samples, seed), len(several_a))
    as_far = int(np.count_nonzero(np.abs(drawn - seen) >= abs(seen)))
    return Difference(
        f1=seen,
        interval=_percentiles(drawn, confidence),
        p_value=(1 + as_far) / (1 + samples),
        confidence=confidence,
        samples=samples,
        units=len(both),
        unit=unit_name(documents),
        seed=seed,
    )


def unit_name(documents: Sequence[str] | None) -> str:
    """Return what is drawn: "document", or "sentence" where no document is known to have several.

    Columns of words that do not say where a document ends are read as a document a sentence.
    """
    known = [document for document in documents or () if document]
    return "document" if len(set(known)) < len(known) else "sentence"


def _check_request(samples: int, confidence: float) -> None:
    if samples < 1:
        raise UsageError(f"bootstrap samples must be 1 or more, not {samples}; 1000 is usual")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must lie between 0 and 1, not {confidence}; 0.95 is usual")


def _counts_by_unit(
    gold: TagLists, predicted: TagLists, documents: Sequence[str] | None, group: str | None = None
) -> Integers:
    """Return a row (correct, predicted, gold) for each unit; rows add up over units."""
    sides = (_of_group(sentences, group) for sentences in read_parallel(gold, predicted))
    rows = [
        (len(set(ours) & set(theirs)), len(theirs), len(ours)) for ours, theirs in zip(*sides, strict=True)
    ]
    if not rows:
        raise InputError("gold", "", "there is no sentence to draw from", "Score a file that holds sentences")
    if documents is None:
        return np.array(rows, dtype=np.int64)
    check_documents(documents, len(rows))
    # A sentence of unknown document is a unit of its own: its index cannot be anybody's id.
    units: dict[str | int, int] = {}
    unit_of = [units.setdefault(document or index, len(units)) for index, document in enumerate(documents)]
    counts = np.zeros((len(units), 3), dtype=np.int64)
    np.add.at(counts, unit_of, np.array(rows, dtype=np.int64))
    return counts


def _of_group(sentences: Sequence[Spans], group: str | None) -> Sequence[Spans]:
    if group is None:
        return sentences
    return [[span for span in spans if group_of(span) == group] for spans in sentences]


def _draw(counts: Integers, samples: int, seed: int) -> Integers:
    """Return the column sums of `samples` draws of as many rows as there are, with replacement.

    One draw at a time keeps memory at the size of the corpus, whatever the number of samples.
    """
    generator = np.random.default_rng(seed)
    units = len(counts)
    totals = np.empty((samples, counts.shape[1]), dtype=np.int64)
    for sample in range(samples):
        times_drawn = np.bincount(generator.integers(units, size=units), minlength=units)
        totals[sample] = times_drawn @ counts
    return totals


def _ratios(totals: Integers) -> Floats:
    """Turn rows (correct, predicted, gold) into rows (precision, recall, F1); 0 / 0 is 0."""
    correct, predicted, gold = totals.T
    below = np.stack([predicted, gold, predicted + gold], axis=1)
    above = np.stack([correct, correct, 2 * correct], axis=1)
    # Where nothing is below the line nothing is above it either, so any divisor but 0 will do.
    ratios: Floats = above / np.maximum(below, 1)
    return ratios


def _f1_differences(totals: Integers, of_a: int) -> Floats:
    """Return a's mean F1 less b's for rows of three counts a seed, the first `of_a` threes being a's."""
    f1 = np.stack([_ratios(totals[:, i : i + 3])[:, 2] for i in range(0, totals.shape[1], 3)], axis=1)
    means: Floats = f1[:, :of_a].mean(axis=1) - f1[:, of_a:].mean(axis=1)
    return means


def _percentiles(values: Floats, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))
