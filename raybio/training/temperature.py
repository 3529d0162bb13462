"""The last step of training an encoder: the temperature of its scores, fitted on dev, into its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from raybio.entities import Sentence
from raybio.members import Member, interleaved
from raybio.run_folder import RunFolder
from raybio.taggers import load_tagger
from raybio.taggers.encoder import EncoderTagger
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.temperature import fit_temperature
from raybio.training.recipes import Scoring
from raybio.training.scoring import remote_on
from raybio.training.splits import at_even_distances

_SENTENCES = 2_000
"""Of dev, at even distances: one number needs no more."""


def leave_temperature(run: RunFolder, scoring: Scoring, members: Sequence[Member], model: Path) -> None:
    """Fit the temperature of the encoder in a folder on dev, in one worker, and write it into its card.

    Where dev was learned it is 1: what was learned says nothing of scores.
    """
    card = EncoderCard.read(model)
    assert card is not None, "training writes a card"
    temperature = 1.0
    if members[0].section.train_with_dev:
        run.say("dev was learned: scores are not calibrated")
    else:
        chosen = at_even_distances(list(interleaved(members, "dev")), _SENTENCES)
        sentences = [sentence for _, sentence in chosen]
        annotated = [members[number].annotates for number, _ in chosen]
        remote = remote_on(scoring.workers, _fit)
        temperature = ray.get(remote.remote(model, sentences, annotated, scoring.loading))
        run.say(f"scores are calibrated on {len(sentences):,} sentences of dev: temperature {temperature:g}")
    card.but(temperature=temperature).write(model)


def _fit(
    model: Path,
    sentences: Sequence[Sentence],
    annotated: Sequence[frozenset[str] | None],
    options: Mapping[str, Any],
) -> float:
    tagger = load_tagger(model, **options)
    assert isinstance(tagger, EncoderTagger), "an LLM that writes tags has no temperature of this kind"
    return fit_temperature(tagger, sentences, annotated)
