"""The epochs of a training run, inside each worker: learn, judge, report, checkpoint.

What is learned, and how, is the `Learner`'s; how well, a `Judge` says: for taggers strict F1 on dev.
Workers see the same batches and share each one, so that their number changes the time a run takes and
not what it learns.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import ray.train
import torch
from ray.train import Checkpoint

from raybio.config import DEV_METRICS, AdaptEncoderConfig, TrainDecoderConfig, TrainEncoderConfig
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.progress import Progress
from raybio.run_folder import RunFolder
from raybio.sentence_stream import gold_tags
from raybio.training import steps
from raybio.training.splits import TrainingBatches
from raybio.training.workers import Workers

_PROGRESS = "progress.json"
_SAY_EVERY_SECONDS = 10.0

Learning: TypeAlias = TrainEncoderConfig | TrainDecoderConfig | AdaptEncoderConfig
"""The jobs whose workers learn, each with its own `training.max_batch_tokens`."""


class Learner(Protocol):
    """One worker's model and optimizer, and what differs between kinds of model."""

    padding: int
    """The token id that fills a batch up."""

    def step(self, parts: Sequence[Sequence[steps.Example]], labelled: int) -> float:
        """Take one optimizer step on `parts`, this worker's share; return their summed loss.

        All workers are given as many parts. `labelled` counts the labels of the whole batch,
        all shares together: the loss is a mean over it.
        """
        ...

    def metrics(self) -> dict[str, float]:
        """Return what else the log shows of an epoch."""
        ...

    def save(self, folder: Path) -> None:
        """Write this worker's part of a checkpoint, if it has one; rank 0 writes `model/`."""
        ...

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint that `save` wrote."""
        ...


class TaggingLearner(Learner, Protocol):
    """One that learns to tag."""

    def tags(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        """Tag all sentences as the finished model would, sharing the work where that is possible."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of the model as it is: `figures` for the log, the one that should rise, and words."""

    figures: Mapping[str, float]
    rising: float
    told: str


Judge: TypeAlias = Callable[[], Verdict]
"""Judges the model after an epoch; called by all workers."""


def judged_on_dev(
    config: TrainEncoderConfig | TrainDecoderConfig, learner: TaggingLearner, dev: Sequence[Sentence]
) -> Judge:
    """Return the judge of a tagger: both scorers' strict F1 on dev; none where dev is learned too."""

    def judge() -> Verdict:
        if config.corpus.train_with_dev:
            return Verdict({}, 0.0, "")
        scores = evaluate([gold_tags(sentence) for sentence in dev], learner.tags(dev))
        figures = {DEV_METRICS["corrected"]: scores.strict_f1, DEV_METRICS["paper"]: scores.paper.strict.f1}
        told = f", dev strict F1 {100 * scores.strict_f1:.2f}"
        return Verdict(figures, figures[config.training.dev_metric], told)

    return judge


@dataclass
class _Progress:
    """Where a run stands between epochs; in each checkpoint."""

    epoch: int = 0
    best: float = -math.inf
    worse: int = 0


def train_epochs(
    config: Learning,
    run: RunFolder,
    workers: Workers,
    batches: TrainingBatches,
    learner: Learner,
    judge: Judge,
    patience: int = 0,
) -> None:
    """Train until the epochs are over, or none of the last `patience` (0 = any number) was better."""
    progress = _resumed(learner, run, workers)
    while progress.epoch < config.training.epochs and not (patience and progress.worse >= patience):
        progress.epoch += 1
        # Drop-out differs between workers and epochs, and is the same when a run is resumed.
        torch.manual_seed((config.seed * 1_000 + progress.epoch) * 1_000 + workers.rank)
        started = time.perf_counter()
        loss = _epoch(config, run, workers, batches, learner, progress.epoch)
        trained = time.perf_counter()
        verdict = judge()
        progress.worse = 0 if verdict.rising > progress.best else progress.worse + 1
        progress.best = max(progress.best, verdict.rising)
        metrics = {
            "epoch": progress.epoch,
            "train_loss": loss,
            **verdict.figures,
            **learner.metrics(),
            "train_seconds": trained - started,
            "dev_seconds": time.perf_counter() - trained,
        }
        if workers.rank == 0:
            run.say(f"epoch {progress.epoch}: loss {loss:.4f}{verdict.told}")
        _report(metrics, progress, workers, learner)
    if workers.rank == 0:
        done = progress.epoch * len(batches)
        run.say(str(Progress("training", "batch", done, done, f"{progress.epoch} epochs")))


def _epoch(
    config: Learning,
    run: RunFolder,
    workers: Workers,
    batches: TrainingBatches,
    learner: Learner,
    epoch: int,
) -> float:
    """Learn from the whole split once; return the mean loss per label."""
    total, counted, said = 0.0, 0, time.perf_counter()
    for i, batch in enumerate(batches.epoch(epoch), start=1):
        labelled = steps.labelled(batch)
        parts = list(steps.micro_batches(workers.share(batch), config.training.max_batch_tokens))
        # Gradients are summed over workers in each backward pass: all must make as many.
        blanks = workers.most(len(parts)) - len(parts)
        total += learner.step(parts + [steps.blank(learner.padding)] * blanks, labelled)
        counted += labelled
        if workers.rank == 0 and time.perf_counter() - said > _SAY_EVERY_SECONDS:
            said = time.perf_counter()
            mean = total * workers.world / max(1, counted)
            done, every = (epoch - 1) * len(batches) + i, config.training.epochs * len(batches)
            run.say(str(Progress("training", "batch", done, every, f"epoch {epoch}, loss about {mean:.4f}")))
    return workers.sum(total) / max(1, counted)


def _report(metrics: dict[str, float], progress: _Progress, workers: Workers, learner: Learner) -> None:
    """Hand Ray Train the epoch's metrics and this worker's part of the checkpoint."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learner.save(folder)
        if workers.rank == 0:
            (folder / _PROGRESS).write_text(json.dumps(asdict(progress)), encoding="utf-8")
        written = Checkpoint.from_directory(name) if any(folder.iterdir()) else None
        ray.train.report(metrics, checkpoint=written)


def _resumed(learner: Learner, run: RunFolder, workers: Workers) -> _Progress:
    """Go on from the last checkpoint where there is one; return where that is."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return _Progress()
    with checkpoint.as_directory() as name:
        learner.load(Path(name))
        progress = _Progress(**json.loads((Path(name) / _PROGRESS).read_text(encoding="utf-8")))
    if workers.rank == 0:
        run.say(f"resumed after epoch {progress.epoch}")
    return progress
