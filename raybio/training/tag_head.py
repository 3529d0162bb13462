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
from raybio.config import TrainDecoderConfig
from raybio.label_schemes import LabelScheme
from raybio.taggers.both_ways import blocks_of
from raybio.taggers.encoder import EncoderCard, EncoderTagger, default_budget, torch_forward
from raybio.taggers.hugging_face import read_config, read_tokenizer
from raybio.taggers.positions import positions_of
from raybio.training import steps
from raybio.training.adapter_learner import AdapterLearner
from raybio.training.encoder_steps import ExampleMaker
from raybio.training.epochs import train_tagger
from raybio.training.splits import TrainingBatches, dev_sentences
from raybio.training.trainer import Task
from raybio.training.workers import Workers, begin

_MAX_OVERLAP = 64


def train_tag_head(task: Task) -> None:
    """Do one worker's part of the run."""
    config: TrainDecoderConfig = task.config
    workers = begin(config.seed, config.workers)
    tokenizer = read_tokenizer(task.base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    card = _card(task)
    maker = ExampleMaker.of(card, tokenizer)
    batches = TrainingBatches(config, lambda row, _: maker.examples(row["words"], row["tags"]))
    learner = _TagHeadLearner(task, card, tokenizer, workers, len(batches) * config.training.epochs)
    train_tagger(config, task.run, workers, batches, learner, dev_sentences(config))


def _card(task: Task) -> EncoderCard:
    config: TrainDecoderConfig = task.config
    architecture = read_config(task.base)
    longest = positions_of(architecture, task.base)
    decision = config.training.aggregation_strategy
    size = min(config.training.max_length, longest or config.training.max_length)
    return EncoderCard(
        labels=list(task.labels),
        max_length=size,
        stride=min(_MAX_OVERLAP, size // 8),
        label_subwords="all" if decision == "mean" else decision,
        aggregation_strategy=decision,
        spacing="blank",
        blocks_both_ways=blocks_of(config.attention, architecture),
        base_model=config.model,
        trained_on=config.corpus.name or str(config.corpus.train),
        raybio=raybio.__version__,
    )


class _TagHeadLearner(AdapterLearner):
    """An LLM with a token classifier in its head's place."""

    def __init__(self, task: Task, card: EncoderCard, tokenizer: Any, workers: Workers, total: int) -> None:
        super().__init__(task, workers, card, tokenizer, tokenizer.pad_token_id, steps.summed_loss, total)
        self._encoder_card = card

    def tagger(self, model: Any) -> EncoderTagger:
        """Return an encoder's tagger: it reads its tokenizer from a folder."""
        card = self._encoder_card
        with tempfile.TemporaryDirectory() as name:
            self.tokenizer.save_pretrained(name)
            scheme, budget = LabelScheme.iob2(card.labels), default_budget(self.device)
            return EncoderTagger(Path(name), scheme, card, torch_forward(model), budget)
