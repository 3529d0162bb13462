"""The last step of training an encoder: the temperature of its scores, fitted on dev, into its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from raybio.entities import Sentence
from raybio.run_folder import RunFolder
from raybio.sentence_stream import read_sentences
from raybio.taggers import load_tagger
from raybio.taggers.encoder import EncoderCard, EncoderTagger
from raybio.taggers.temperature import fit_temperature
from raybio.training.recipes import Scoring
from raybio.training.scoring import remote_on
from raybio.training.splits import at_even_distances

_SENTENCES = 2_000
"""Of dev, at even distances: one number needs no more."""


def leave_temperature(run: RunFolder, scoring: Scoring, model: Path) -> None:
    """Fit the temperature of the encoder in a folder on dev, in one worker, and write it into its card.

    Where dev was learned it is 1: what was learned says nothing of scores.
    """
    card = EncoderCard.read(model)
    assert card is not None, "training writes a card"
    temperature = 1.0
    if scoring.corpus.train_with_dev:
        run.say("dev was learned: scores are not calibrated")
    else:
        sentences = at_even_distances(list(read_sentences(scoring.corpus, "dev")), _SENTENCES)
        remote = remote_on(scoring.workers, _fit)
        temperature = ray.get(remote.remote(model, sentences, scoring.loading))
        run.say(f"scores are calibrated on {len(sentences):,} sentences of dev: temperature {temperature:g}")
    card.but(temperature=temperature).write(model)


def _fit(model: Path, sentences: Sequence[Sentence], options: Mapping[str, Any]) -> float:
    tagger = load_tagger(model, **options)
    assert isinstance(tagger, EncoderTagger), "an LLM that writes tags has no temperature of this kind"
    return fit_temperature(tagger, sentences)
