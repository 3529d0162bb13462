"""What an encoder's fine-tuning will take, before anything is started: shapes alone, as for an LLM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import AutoModelForTokenClassification

from raybio.config import TrainEncoderConfig, WorkersSection
from raybio.errors import ConfigError, ModelError
from raybio.taggers.both_ways import check_attention
from raybio.taggers.devices import computes_bf16
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import one_line, tag_options
from raybio.taggers.positions import positions_of
from raybio.training.activations import kept_for_backward
from raybio.training.encoder_learner import check_precision
from raybio.training.encoder_steps import POSITIONS, ExampleMaker
from raybio.training.memory import Sizes, encoder_memory
from raybio.training.preflight import (
    CorpusFigures,
    Preflight,
    Row,
    epoch_passes,
    local_tokenizer,
    on_gpu,
    training_split,
)
from raybio.training.recipes import EncoderRecipe
from raybio.training.shapes import shape_of


def preflight_encoder(config: TrainEncoderConfig) -> Preflight:
    """Estimate a run of an encoder, and refuse what is known to fail.

    Raises:
        ConfigError: holds every reason why this run would fail, each with what to change.
        ModelError: there is no such model, or it is of an architecture that classifies no tokens.
    """
    recipe = EncoderRecipe.of(config)
    architecture = shape_of(config.model, config.allow_pickle)
    check_precision(architecture, config.model, config.training.precision)
    labels, rows, no_corpus, corpus_faults = training_split(config.corpus)
    tokenizer, no_tokens, tokenizer_faults = local_tokenizer(config.model, config.allow_pickle)
    if faults := [*corpus_faults, *tokenizer_faults, *_attention_faults(recipe, architecture)]:
        raise ConfigError(f"train-encoder with {config.model}", faults)
    found = estimate_encoder(recipe, config.workers, architecture, tokenizer, labels, rows)
    return replace(found, no_corpus=no_corpus, no_tokens=no_tokens)


def _attention_faults(recipe: EncoderRecipe, architecture: Any) -> list[str]:
    try:
        check_attention(recipe.attention, architecture)
    except ModelError as error:
        return [str(error)]
    return []


def estimate_encoder(
    recipe: EncoderRecipe,
    workers: WorkersSection,
    architecture: Any,
    tokenizer: Any,
    labels: Sequence[str],
    rows: Sequence[Row],
) -> Preflight:
    """Return what a run with this model, tokenizer (None where it is not at hand) and training split takes.

    Raises:
        ModelError: the model is of an architecture that classifies no tokens.
    """
    gpu, training = on_gpu(workers), recipe.training
    size = min(training.max_length, positions_of(architecture, recipe.model) or POSITIONS)
    figures = _figures(recipe, workers.num_workers, tokenizer, labels, rows, size)
    passes = figures.passes if figures else None
    shape = (passes.rows, passes.longest) if passes else (training.max_batch_tokens // size, size)
    headed = type(architecture).from_dict(architecture.to_dict() | tag_options(labels))
    make = AutoModelForTokenClassification
    with one_line(recipe.model, "no model can be made by its config.json"):
        with torch.device("meta"):
            parameters = sum(weights.numel() for weights in make.from_config(headed).parameters())
        kept = kept_for_backward(make, headed, *shape, _dtype(training.precision, gpu))
    needed = encoder_memory(
        parameters, kept, averaged=bool(training.ema_decay), workers=workers.num_workers, gpu=gpu
    )
    return Preflight(Sizes(parameters, 0, 0), needed, figures)


def _dtype(precision: str, gpu: bool) -> torch.dtype:
    """Resolve `training.precision` for workers that may be elsewhere: GPUs multiply bf16."""
    if precision == "auto":
        return torch.bfloat16 if gpu or computes_bf16(torch.device("cpu")) else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def _figures(
    recipe: EncoderRecipe, workers: int, tokenizer: Any, labels: Sequence[str], rows: Sequence[Row], size: int
) -> CorpusFigures | None:
    if not rows or tokenizer is None:
        return CorpusFigures(len(rows)) if rows else None
    training = recipe.training
    card = EncoderCard(
        labels=list(labels),
        max_length=size,
        stride=min(training.stride, size // 2),
        label_subwords=training.label_subwords,
        aggregation_strategy=training.aggregation_strategy,
        spacing="blank",
    )
    maker = ExampleMaker.of(card, tokenizer, cut=training.long_inputs == "cut")
    examples = [example for row in rows for example in maker.examples(row["words"], row["tags"])]
    passes = epoch_passes(recipe, workers, examples)
    return CorpusFigures(len(rows), None, None, passes.steps, passes)
