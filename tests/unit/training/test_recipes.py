"""What a training config says, as the nouns that training takes."""

from __future__ import annotations

from typing import Any

import pytest

from raybio.config import TrainDecoderConfig, TrainEncoderConfig
from raybio.training.recipes import AdapterRecipe, EncoderRecipe, Scoring

CORPUS = {split: f"{split}.tsv" for split in ("train", "dev", "test")}


def encoder(**changes: Any) -> TrainEncoderConfig:
    return TrainEncoderConfig(**{"job": "train-encoder", "model": "m", "corpus": CORPUS, **changes})


def decoder(**changes: Any) -> TrainDecoderConfig:
    return TrainDecoderConfig(**{"job": "train-decoder", "model": "m", "corpus": CORPUS, **changes})


def test_out_of_memory_names_the_options_that_the_job_has() -> None:
    assert EncoderRecipe.of(encoder()).less_memory() == ["training.max_batch_tokens (now 16384)"]
    greedy = decoder(quantization={"bits": 16}, training={"gradient_checkpointing": False})
    assert AdapterRecipe.of(greedy).less_memory() == [
        "training.max_batch_tokens (now 8192)",
        "set training.gradient_checkpointing=true",
        "set quantization.bits=4",
    ]


@pytest.mark.parametrize(
    ("optimizer", "offload", "gpu", "paged"),
    [
        ("auto", "none", True, True),
        ("auto", "none", False, False),
        ("auto", "cpu", True, False),
        ("adamw", "none", True, False),
        ("paged-adamw-8bit", "none", False, True),
    ],
)
def test_the_optimizer_is_paged_on_a_gpu_that_holds_its_states(
    optimizer: str, offload: str, gpu: bool, paged: bool
) -> None:
    config = decoder(
        training={"optimizer": optimizer}, deepspeed={"offload": offload}, quantization={"bits": 16}
    )
    assert AdapterRecipe.of(config).takes_paged(gpu) == paged


def test_a_model_is_scored_as_it_was_trained() -> None:
    cut = encoder(training={"long_inputs": "cut", "precision": "fp32"}, workers={"threads": 3})
    assert Scoring.of(cut).cut and Scoring.of(cut).loading == {"threads": 3, "precision": "fp32"}
    text = Scoring.of(decoder(dev={"mode": "greedy", "sentences": 7}))
    assert (text.dev_sentences, text.loading["decoding"]["mode"]) == (7, "greedy")
    assert "decoding" not in Scoring.of(decoder(head="tags")).loading


def test_a_dev_split_that_is_learned_scores_no_epoch() -> None:
    last = {"keep_checkpoint": "last", "early_stopping_patience": 0}
    learned = encoder(corpus={**CORPUS, "train_with_dev": True}, training=last)
    assert (learned.dev_sentences, encoder().dev_sentences) == (0, None)
    assert decoder(dev={"sentences": 7}).dev_sentences == 7
