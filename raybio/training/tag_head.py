"""An LLM with a token classifier in its head's place, trained as an adapter: what workers do for it.

Its result is read like any encoder, in windows: `EncoderTagger` tags dev here and is what loads
the merged model. All of a word's subwords learn its tag and their mean decides. A causal model
knows a word only at its last piece; the mean lets that piece speak, and the earlier ones add what
the left context alone says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

import raybio
from raybio.config import TrainDecoderConfig
from raybio.entities import Sentence
from raybio.iob2 import tag_set
from raybio.taggers.devices import pick_dtype
from raybio.taggers.encoder import EncoderCard, EncoderTagger, default_budget, torch_forward
from raybio.training import steps
from raybio.training.adapter import adapted_model
from raybio.training.deepspeed import AdapterEngine
from raybio.training.encoder_steps import ExampleMaker
from raybio.training.epochs import train_epochs
from raybio.training.fit import Task
from raybio.training.splits import TrainingBatches, dev_sentences
from raybio.training.workers import Workers, begin

_MOST_OVERLAP = 64


def train_tag_head(task: Task) -> None:
    """Do one worker's part of the run."""
    config: TrainDecoderConfig = task.config
    workers = begin(config.seed, config.workers)
    tokenizer = AutoTokenizer.from_pretrained(task.base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    card = _card(task)
    maker = ExampleMaker.of(card, tokenizer)
    batches = TrainingBatches(config, lambda row: maker.examples(row["words"], row["tags"]))
    learner = _TagHeadLearner(task, card, tokenizer, workers, len(batches) * config.training.epochs)
    train_epochs(config, task.run, workers, batches, dev_sentences(config), learner)


def _card(task: Task) -> EncoderCard:
    config: TrainDecoderConfig = task.config
    longest = getattr(AutoConfig.from_pretrained(task.base), "max_position_embeddings", None)
    size = min(config.training.max_tokens, longest or config.training.max_tokens)
    return EncoderCard(
        labels=list(task.labels),
        max_tokens=size,
        window_overlap=min(_MOST_OVERLAP, size // 8),
        subword_labels="all",
        word_decision="mean",
        base_model=config.model,
        trained_on=config.corpus.name or str(config.corpus.train),
        raybio=raybio.__version__,
    )


class _TagHeadLearner:
    """An adapted token classifier under DeepSpeed; `total` is the number of optimizer steps of the run."""

    def __init__(self, task: Task, card: EncoderCard, tokenizer: Any, workers: Workers, total: int) -> None:
        config: TrainDecoderConfig = task.config
        self._card, self._tokenizer, self._workers = card, tokenizer, workers
        self.padding: int = tokenizer.pad_token_id
        dtype = pick_dtype(config.training.precision, workers.device)
        model = adapted_model(config, task.base, task.labels, {}, workers.device, dtype)
        model.config.pad_token_id = self.padding
        self._engine = AdapterEngine(model, config, workers, total, dtype)

    def step(self, parts: Sequence[Sequence[steps.Example]], labelled: int) -> float:
        """Take one optimizer step."""
        device = self._workers.device
        tensors = (steps.collate(part, self.padding, device) for part in parts)
        return self._engine.step(tensors, steps.summed_loss, labelled)

    def tags(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        """Tag sentences as the finished model would."""
        with (
            tempfile.TemporaryDirectory() as name,
            self._engine.evaluated(sentences) as (model, share, gather),
        ):
            self._tokenizer.save_pretrained(name)
            tagger = EncoderTagger(
                Path(name),
                tag_set(self._card.labels),
                self._card,
                torch_forward(model),
                default_budget(self._workers.device),
            )
            return gather([list(tags.tags) for tags in tagger.tag(share)])

    def metrics(self) -> dict[str, float]:
        """Return the learning rate."""
        return {"learning_rate": self._engine.learning_rate}

    def save(self, folder: Path) -> None:
        """Write the adapter with its classifier (rank 0), and this worker's optimizer states."""
        self._engine.save(folder)
        if self._workers.rank == 0:
            self._tokenizer.save_pretrained(folder / "model")
            self._card.write(folder / "model")

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint."""
        self._engine.load(folder)
