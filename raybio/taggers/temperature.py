"""One temperature for an encoder's scores, so that they are the share of entities that is right.

Scores of fine-tuned encoders are too high. What their logits are divided by (Guo et al., 2017) is fitted on
sentences that the model did not learn: of all temperatures it makes the scores of the entities found there
most likely, given which of these are right. Tags do not change (see `Reading`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from raybio.entities import Sentence
from raybio.iob2 import spans_from_tags
from raybio.taggers.encoder import EncoderTagger

LOWEST, HIGHEST = 0.2, 10.0
_COARSE, _FINE = 25, 15
_EPSILON = 1e-7


def fit_temperature(
    tagger: EncoderTagger, sentences: Sequence[Sentence], annotated: Sequence[Collection[str] | None] = ()
) -> float:
    """Return the temperature, 0.2 to 10, that suits the entities found in sentences with gold; 1 without any.

    `annotated` are the labels that gold has in each sentence, None where it has all; entities of others count
    for nothing.

    Targets are those of Platt (1999) in place of 1 and 0, so that entities which are all right do not make
    any score 1.

    Raises:
        ModelError: a batch does not fit in memory.
    """
    reading = tagger.read(sentences)
    known = annotated or [None] * len(sentences)
    found = [
        (i, span)
        for i, (one, labels) in enumerate(zip(reading.tags(), known, strict=True))
        for span in spans_from_tags(one.tags)
        if labels is None or span.label in labels
    ]
    if not found:
        return 1.0
    right = np.array([span in (sentences[i].gold or ()) for i, span in found])
    count = right.sum()
    target = np.where(right, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
    places = np.array([reading.units(i, span) for i, span in found]).ravel()

    def loss(temperature: float) -> float:
        # An entity's score is that of its least certain word. `places` are first and end in turn.
        scores = np.minimum.reduceat(np.append(reading.scores(temperature), 1.0), places)[::2]
        bounded = np.clip(scores, _EPSILON, 1 - _EPSILON)
        return float(-np.mean(target * np.log(bounded) + (1 - target) * np.log(1 - bounded)))

    coarse = np.geomspace(LOWEST, HIGHEST, _COARSE)
    best = int(np.argmin([loss(temperature) for temperature in coarse]))
    fine = np.geomspace(coarse[max(0, best - 1)], coarse[min(best + 1, _COARSE - 1)], _FINE)
    return round(float(min(fine, key=loss)), 3)
