"""Whether entities' scores are the share of them that is right: reliability diagrams and ECE.

The expected calibration error (Guo et al., 2017, "On Calibration of Modern Neural Networks") puts entities
of near scores into one bin, and is the mean distance between a bin's mean score and the share of its
entities that is right, weighted by how many they are. An entity is right where gold has one of the same
words and label; its score is that of its least certain word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raybio.evaluation.parallel import TagLists, read_parallel

BINS = 15
"""As in Guo et al."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Predicted entities of near scores: how many, their mean score, and the share that is right."""

    entities: int
    score: float
    right: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """The expected calibration error, a fraction, and the bins that hold any entity, by rising score."""

    ece: float
    bins: tuple[Bin, ...]


def reliability(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> Reliability:
    """Return the reliability of entities, given the score of each and whether it is right.

    Bins are equally wide; without any entity the error is 0.
    """
    places = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    bins = tuple(
        Bin(int(inside.sum()), float(scores[inside].mean()), float(right[inside].mean()))
        for place in range(BINS)
        if (inside := places == place).any()
    )
    ece = sum(one.entities * abs(one.right - one.score) for one in bins) / max(1, len(scores))
    return Reliability(ece, bins)


def entities_of(
    gold: TagLists, predicted: TagLists, scores: Sequence[Sequence[float]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the score of each predicted entity, and whether it is right; `scores` are those of words.

    Raises:
        InputError, TagError: as `evaluate` does.
    """
    gold_spans, predicted_spans = read_parallel(gold, predicted)
    found = [
        (min(of_words[span.start : span.end]), span in own)
        for own, spans, of_words in zip(map(set, gold_spans), predicted_spans, scores, strict=True)
        for span in spans
    ]
    return np.array([score for score, _ in found]), np.array([right for _, right in found], dtype=np.bool_)


def reliability_figures(
    gold: TagLists,
    predicted: TagLists,
    scores: Sequence[Sequence[float]],
    uncalibrated: Sequence[Sequence[float]],
) -> dict[str, Any]:
    """Return what scores.json holds under "reliability".

    A sentence's `uncalibrated` scores are those before calibration, empty where its tagger has none.
    Shape: {"ece", "bins": [{"entities", "score", "right"}], "uncalibrated": the same two of the scores
    before, or null where none were calibrated}; all but "entities" are fractions.
    """
    figures = {**asdict(reliability(*entities_of(gold, predicted, scores))), "uncalibrated": None}
    if any(uncalibrated):
        before = [given or own for given, own in zip(uncalibrated, scores, strict=True)]
        figures["uncalibrated"] = asdict(reliability(*entities_of(gold, predicted, before)))
    return figures
