"""An LLM with a token classifier in its head's place, trained as an adapter: what workers do for it.

Its result is read like any encoder, in windows: `EncoderTagger` tags dev here and is what loads
the merged model. By default all of a word's subwords learn its tag and their mean decides. Where blocks
are causal, a model knows a word only at its last subword, and what is after it not at all; the card names
the blocks that read both ways (see `taggers/both_ways.py`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import raybio
from raybio.label_schemes import LabelScheme
from raybio.taggers.both_ways import blocks_of
from raybio.taggers.encoder import EncoderTagger, default_budget, torch_forward
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import read_config, read_tokenizer
from raybio.taggers.positions import positions_of
from raybio.training import steps
from raybio.training.adapter_learner import AdapterLearner
from raybio.training.encoder_steps import ExampleMaker
from raybio.training.epochs import train_tagger
from raybio.training.recipes import AdapterRecipe, Task
from raybio.training.splits import TrainingBatches, dev_split
from raybio.training.workers import Workers, begin

_MAX_OVERLAP = 64


def train_tag_head(task: Task[AdapterRecipe]) -> None:
    """Do one worker's part of the run."""
    recipe, training = task.recipe, task.recipe.training
    workers = begin(recipe.seed, task.workers)
    tokenizer = read_tokenizer(task.base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    card = _card(task)
    maker = ExampleMaker.of(card, tokenizer, members=task.members)
    batches = TrainingBatches(task, workers, lambda row, _: maker.of_row(row))
    learner = _TagHeadLearner(task, card, tokenizer, workers, len(batches) * training.epochs)
    train_tagger(task, workers, batches, learner, dev_split(task.dev_sentences, task.members))


def _card(task: Task[AdapterRecipe]) -> EncoderCard:
    recipe, training = task.recipe, task.recipe.training
    architecture = read_config(task.base)
    longest = positions_of(architecture, task.base)
    decision = training.aggregation_strategy
    size = min(training.max_length, longest or training.max_length)
    return EncoderCard(
        labels=list(task.labels),
        max_length=size,
        stride=min(_MAX_OVERLAP, size // 8),
        label_subwords="all" if decision == "mean" else decision,
        aggregation_strategy=decision,
        spacing="blank",
        blocks_both_ways=blocks_of(recipe.attention, architecture),
        base_model=recipe.model,
        trained_on=task.trained_on,
        raybio=raybio.__version__,
    )


class _TagHeadLearner(AdapterLearner):
    """An LLM with a token classifier in its head's place."""

    def __init__(
        self, task: Task[AdapterRecipe], card: EncoderCard, tokenizer: Any, workers: Workers, total: int
    ) -> None:
        super().__init__(task, workers, card, tokenizer, tokenizer.pad_token_id, steps.summed_loss, total)
        self._encoder_card = card

    def tagger(self, model: Any) -> EncoderTagger:
        """Return an encoder's tagger: it reads its tokenizer from a folder."""
        card = self._encoder_card
        with tempfile.TemporaryDirectory() as name:
            self.tokenizer.save_pretrained(name)
            scheme, budget = LabelScheme.iob2(card.labels), default_budget(self.device)
            return EncoderTagger(Path(name), scheme, card, torch_forward(model), budget)
