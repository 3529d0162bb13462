"""Encoder fine-tuning on Ray Train: Ray Data in, a Hugging Face folder and its scores out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import ray.data
import torch
from ray.train.torch import prepare_model
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer

import raybio
from raybio.config import TrainEncoderConfig
from raybio.entities import Sentence
from raybio.iob2 import tag_set
from raybio.model_sources import model_folder
from raybio.sentence_stream import read_sentences
from raybio.taggers.calibration import write_calibration
from raybio.taggers.devices import computes_bf16, pick_dtype
from raybio.taggers.encoder import EncoderCard, EncoderTagger, default_budget, torch_forward
from raybio.training import steps
from raybio.training.encoder_steps import ExampleMaker, cut_sentences, layer_groups
from raybio.training.epochs import train_epochs
from raybio.training.fit import Task, TrainedModel, fine_tune
from raybio.training.splits import SHUFFLE_BUFFER, TrainingBatches, dev_sentences
from raybio.training.teachers import check_teachers, taught_dataset
from raybio.training.workers import Workers, begin

_CALIBRATION_SENTENCES = 64
_STATE = "training_state.pt"

TrainedEncoder = TrainedModel


def train_encoder(config: TrainEncoderConfig, progress: Callable[[str], None] = print) -> TrainedEncoder:
    """Fine-tune, keep the best epoch by strict F1 on dev, score it, and fill the run folder.

    `progress` is called with a line of text now and then.

    Raises:
        ConfigError, ModelError, InputError: what the run was given cannot be used.
        UsageError: a run of that name exists and `resume` is false, or the reverse.
        TrainingError: the workers failed more often than `workers.max_failures`, or a teacher knows other
            labels.
    """
    base = model_folder(config.model, allow_pickle=config.allow_pickle)
    check_teachers(config)
    rows = _taught_rows if config.distillation.teachers else None
    return fine_tune(config, base, _work, _calibrate, progress, rows)


def _taught_rows(task: Task) -> ray.data.Dataset:
    return taught_dataset(task.config, task.labels, task.run)


def _calibrate(task: Task) -> None:
    """Leave with the model what its int8 form needs."""
    stream = steps.shuffled(read_sentences(task.config.corpus, "train"), SHUFFLE_BUFFER, task.config.seed)
    write_calibration(task.run.model, list(islice(stream, _CALIBRATION_SENTENCES)))


# What follows runs in the workers.


def _work(task: Task) -> None:
    config: TrainEncoderConfig = task.config
    workers = begin(config.seed, config.workers)
    tokenizer = AutoTokenizer.from_pretrained(task.base, use_fast=True)
    card = _card(task)
    maker = ExampleMaker.of(card, tokenizer, cut=config.training.long_inputs == "cut")
    batches = TrainingBatches(
        config, lambda row: maker.examples(row["words"], row["tags"], row.get("shares"))
    )
    total = len(batches) * config.training.epochs
    learner = _EncoderLearner(config, task.base, card, tokenizer, workers, total)
    dev = dev_sentences(config)
    if config.training.long_inputs == "cut":
        dev = list(cut_sentences(dev, tokenizer, card.max_tokens))
    train_epochs(config, task.run, workers, batches, dev, learner)


def _card(task: Task) -> EncoderCard:
    config: TrainEncoderConfig = task.config
    training = config.training
    longest = getattr(AutoConfig.from_pretrained(task.base), "max_position_embeddings", None) or 512
    return EncoderCard(
        labels=list(task.labels),
        max_tokens=min(training.max_tokens, longest),
        window_overlap=training.window_overlap,
        subword_labels=training.subword_labels,
        word_decision=training.word_decision,
        legal=training.legal,
        base_model=config.model,
        trained_on=config.corpus.name or str(config.corpus.train),
        raybio=raybio.__version__,
    )


class _EncoderLearner:
    """A token classifier under DDP; `total` is the number of optimizer steps of the whole run."""

    def __init__(
        self,
        config: TrainEncoderConfig,
        base: Path,
        card: EncoderCard,
        tokenizer: Any,
        workers: Workers,
        total: int,
    ) -> None:
        training = config.training
        self._clip = training.gradient_clip
        self._base, self._card, self._workers = base, card, workers
        self._tokenizer = tokenizer
        self.padding: int = tokenizer.pad_token_id
        self._tags = tag_set(card.labels)
        model = AutoModelForTokenClassification.from_pretrained(
            base,
            num_labels=len(self._tags),
            id2label=dict(enumerate(self._tags)),
            label2id={tag: i for i, tag in enumerate(self._tags)},
            ignore_mismatched_sizes=True,
            **_dropouts(base, training.dropout),
        )
        self._model: Any = prepare_model(model.train())
        self._bare: Any = getattr(self._model, "module", self._model)
        self._average = _average_of(self._bare, training.average)
        self._optimizer = steps.optimizer_of(
            layer_groups(self._bare, training.learning_rate, training.weight_decay, training.layer_decay),
            training.learning_rate,
        )
        self._dtype = _autocast_dtype(training.precision, workers.device)
        self._scaler = torch.amp.GradScaler(workers.device.type, enabled=self._dtype == torch.float16)
        self._schedule = steps.schedule_for(
            self._optimizer, training.schedule, total, int(total * training.warmup_ratio)
        )

    def step(self, parts: Sequence[Sequence[steps.Example]], labelled: int) -> float:
        """Take one optimizer step; DDP averages over the workers what is to be summed."""
        device = self._workers.device
        total = 0.0
        for part in parts:
            tensors = steps.collate(part, self.padding, device)
            with self._autocast():
                loss = steps.summed_loss(self._model, tensors)
            self._scaler.scale(loss * self._workers.world / max(1, labelled)).backward()
            total += loss.item()
        self._scaler.unscale_(self._optimizer)
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(self._bare.parameters(), self._clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._schedule.step()
        self._optimizer.zero_grad()
        if self._average is not None:
            self._average.update_parameters(self._bare)
        return total

    @property
    def _finished(self) -> Any:
        """What is scored and kept: the running average where there is one."""
        return self._bare if self._average is None else self._average.module

    def tags(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        """Tag sentences as the finished model would, each worker its share."""
        tagger = EncoderTagger(
            self._base,
            self._tags,
            self._card,
            torch_forward(self._finished.eval()),
            default_budget(self._workers.device),
        )
        with self._autocast():
            tagged = [list(tags.tags) for tags in tagger.tag(self._workers.share(sentences))]
        self._finished.train()
        return self._workers.gather(tagged)

    def _autocast(self) -> torch.autocast:
        device = self._workers.device.type
        return torch.autocast(device, self._dtype, enabled=self._dtype != torch.float32)

    def metrics(self) -> dict[str, float]:
        """Return the learning rate."""
        return {"learning_rate": float(self._schedule.get_last_lr()[0])}

    def save(self, folder: Path) -> None:
        """Write the model as a Hugging Face folder, and the training state; rank 0 has all of it."""
        if self._workers.rank != 0:
            return
        self._finished.save_pretrained(folder / "model")
        self._tokenizer.save_pretrained(folder / "model")
        self._card.write(folder / "model")
        state: dict[str, Any] = {
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
        }
        if self._average is not None:
            state["weights"] = self._bare.state_dict()
            state["averaged"] = self._average.n_averaged
        torch.save(state, folder / _STATE)

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint."""
        weights = AutoModelForTokenClassification.from_pretrained(folder / "model").state_dict()
        self._finished.load_state_dict(weights)
        state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
        if self._average is not None:
            self._bare.load_state_dict(state["weights"])
            self._average.n_averaged.copy_(state["averaged"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])


def _average_of(model: torch.nn.Module, share: float | None) -> AveragedModel | None:
    """Return the exponential running average of a model's weights, which starts from its first step."""
    return None if share is None else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(share))


def _dropouts(base: Path, dropout: float | None) -> dict[str, float]:
    """Return the options that set every dropout of a model, whatever its architecture calls them."""
    if dropout is None:
        return {}
    options = AutoConfig.from_pretrained(base).to_dict()
    return {name: dropout for name, value in options.items() if "dropout" in name and _is_rate(value)}


def _is_rate(value: object) -> bool:
    """Say whether a config's value can be a dropout; None stands for another one's."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _autocast_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Resolve `training.precision`; weights are fp32 in any case."""
    if precision == "auto" and computes_bf16(device):
        return torch.bfloat16
    return pick_dtype(precision, device)
