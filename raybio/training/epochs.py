"""The epochs of a training run, inside each worker: learn, judge, report, checkpoint.

What is learned, and how, is the `Learner`'s; how well, a `Judge` says: for taggers strict F1 on dev.
An epoch's checkpoint is reported before the epoch is judged, so that a judge that fails costs a score and
not an epoch. The best epoch's model is kept in the run folder, beside what was found of it.
Workers share each batch, so that their number changes the time a run takes and not what it learns; of a large
train split each reads a part of its own (`parts`), and only the size of a batch does not depend on it.
"""

from __future__ import annotations

import json
import logging
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import Protocol, TypeAlias

import ray.train
import torch
from ray.train import Checkpoint

from raybio.entities import Sentence
from raybio.errors import RaybioError, first_line
from raybio.evaluation import evaluate
from raybio.members import Member
from raybio.progress import Progress
from raybio.run_folder import RunFolder
from raybio.training import steps
from raybio.training.kept import Kept, keep_model
from raybio.training.recipes import AdapterRecipe, AnyRecipe, EncoderRecipe, Task, Training
from raybio.training.splits import TrainingBatches
from raybio.training.workers import Workers

_PROGRESS = "progress.json"
_EARLIER = ("best", "worse")  # what else it held in earlier versions, which scored before they saved
_KEPT = "kept.json"
_SAY_EVERY_SECONDS = 10.0


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
        """Resume from a checkpoint that `save` wrote."""
        ...


class TaggingLearner(Learner, Protocol):
    """One that learns to tag."""

    def tags(self, sentences: Sequence[Sentence]) -> list[list[str]]:
        """Tag all sentences as the finished model would, sharing the work where that is possible."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of the model as it is: `figures` for the log, the one that should rise, and words.

    `rising` is None where there is nothing to compare epochs by.
    """

    figures: Mapping[str, float]
    rising: float | None
    words: str


Dev: TypeAlias = Sequence[tuple[Member, Sequence[Sentence]]]
"""The sentences of dev, of each corpus."""

Judge: TypeAlias = Callable[[], Verdict]
"""Judges the model after an epoch; called by all workers."""


def judged_on_dev(metric: str, learner: TaggingLearner, dev: Dev) -> Judge:
    """Return the judge of a tagger: both scorers' strict F1 on `dev`, of which `metric` should rise.

    Of several corpora it is the mean of theirs, each on the labels that it annotates. Without any sentence of
    dev, which was learned then, epochs are not compared.
    """

    def judge() -> Verdict:
        sentences = [sentence for _, of_member in dev for sentence in of_member]
        if not sentences:
            return Verdict({}, None, "")
        tagged = iter(learner.tags(sentences))
        scores = {
            member.title: evaluate(
                [member.gold(each) for each in of_member], [member.own(next(tagged)) for _ in of_member]
            )
            for member, of_member in dev
            if of_member
        }
        figures = {
            "dev_strict_f1": fmean(each.strict_f1 for each in scores.values()),
            "dev_paper_strict_f1": fmean(each.paper.strict.f1 for each in scores.values()),
        }
        words = f", dev strict F1 {100 * figures['dev_strict_f1']:.2f}"
        verdict = Verdict(figures, figures[metric], words)
        if len(scores) == 1:
            return verdict
        by_member = {title: each.strict_f1 for title, each in scores.items()}
        each = ", ".join(f"{title} {100 * f1:.2f}" for title, f1 in by_member.items())
        of_members = {f"dev_strict_f1/{title}": f1 for title, f1 in by_member.items()}
        return replace(verdict, figures={**figures, **of_members}, words=f"{words} (mean of {each})")

    return judge


def train_tagger(
    task: Task[EncoderRecipe] | Task[AdapterRecipe],
    workers: Workers,
    batches: TrainingBatches,
    learner: TaggingLearner,
    dev: Dev,
) -> None:
    """Train a tagger, judged on `dev` after each epoch, as the recipe's `training` says."""
    training = task.recipe.training
    train_epochs(
        task,
        workers,
        batches,
        learner,
        judged_on_dev(training.metric_for_best_model, learner, dev),
        patience=training.early_stopping_patience,
        keep_best=training.keep_checkpoint == "best",
    )


def train_epochs(
    task: Task[AnyRecipe],
    workers: Workers,
    batches: TrainingBatches,
    learner: Learner,
    judge: Judge,
    *,
    patience: int = 0,
    keep_best: bool = False,
) -> None:
    """Train until the epochs are over, or none of the last `patience` (0 = any number) was better.

    With `keep_best`, the best epoch's model stays in the run folder (`raybio.training.kept`).
    """
    run, recipe = task.run, task.recipe
    epoch, metrics = _resumed(learner, run, workers)
    kept = workers.gather(lambda: [Kept.read(run)])[0] if epoch else Kept()
    while True:
        if epoch > kept.epoch:
            kept = _judge(judge, run, workers, metrics, kept, keep_best)
        if epoch >= recipe.training.epochs or (patience and kept.worse >= patience):
            break
        epoch += 1
        # Drop-out differs between workers and epochs, and is the same when a run is resumed.
        torch.manual_seed((recipe.seed * 1_000 + epoch) * 1_000 + workers.rank)
        started = time.perf_counter()
        loss, steps_took = _epoch(run, recipe.training, workers, batches, learner, epoch)
        metrics = {
            "epoch": epoch,
            "train_loss": loss,
            **learner.metrics(),
            "train_seconds": time.perf_counter() - started,
            "steps": len(steps_took),
            "step_seconds": statistics.median(steps_took[1:] or steps_took),  # the first one warms up
        }
        _report_checkpoint(metrics, workers, learner)
    if workers.rank == 0:
        done = epoch * len(batches)
        run.say(str(Progress("training", "batch", done, done, f"{epoch} epochs")))


def _epoch(
    run: RunFolder,
    training: Training,
    workers: Workers,
    batches: TrainingBatches,
    learner: Learner,
    epoch: int,
) -> tuple[float, list[float]]:
    """Learn from the whole split once; return the mean loss per label, and the seconds of each step."""
    total, counted, said = 0.0, 0, time.perf_counter()
    seconds = []
    stream = batches.epoch(epoch)
    for i in count(1):
        started = time.perf_counter()
        batch = next(stream, [])
        parts = list(steps.micro_batches(batch, training.max_batch_tokens))
        # Gradients are summed over workers in each backward pass: all must make as many.
        passes = workers.most(len(parts))
        if not passes:
            break  # no worker has any left
        labelled = int(workers.sum(steps.labelled(batch)))
        total += learner.step(parts + [steps.blank(learner.padding)] * (passes - len(parts)), labelled)
        counted += labelled
        seconds.append(time.perf_counter() - started)
        if workers.rank == 0 and time.perf_counter() - said > _SAY_EVERY_SECONDS:
            said = time.perf_counter()
            mean = total * workers.world / max(1, counted)
            done, every = (epoch - 1) * len(batches) + i, training.epochs * len(batches)
            run.say(str(Progress("training", "batch", done, every, f"epoch {epoch}, loss about {mean:.4f}")))
    return workers.sum(total) / max(1, counted), seconds


def _report_checkpoint(metrics: Mapping[str, float], workers: Workers, learner: Learner) -> None:
    """Give Ray Train this worker's part of an epoch's checkpoint, and of the epoch its number alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learner.save(folder)
        if workers.rank == 0:
            (folder / _PROGRESS).write_text(json.dumps(metrics), encoding="utf-8")
        written = Checkpoint.from_directory(name) if any(folder.iterdir()) else None
        ray.train.report({"epoch": metrics["epoch"]}, checkpoint=written)


def _judge(
    judge: Judge, run: RunFolder, workers: Workers, metrics: Mapping[str, float], kept: Kept, keep_best: bool
) -> Kept:
    """Judge the epoch of the last checkpoint and report its metrics; return what is known after it.

    A judge that fails costs the score: the epoch is no candidate for the best, and training continues.
    """
    epoch = int(metrics["epoch"])
    trained = f"epoch {epoch}: loss {metrics.get('train_loss', math.nan):.4f}"
    started = time.perf_counter()
    try:
        verdict = judge()
        line = f"{trained}{verdict.words}"
    except Exception as error:  # whatever it is, the epoch was learned
        if not isinstance(error, RaybioError):
            logging.getLogger(__name__).warning("scoring epoch %s failed", epoch, exc_info=error)
        verdict = Verdict({}, None, "")
        line = f"{trained}, no score: scoring failed ({first_line(error)})"
    after = kept.after(epoch, verdict.rising)
    if workers.rank == 0:
        run.say(line)
        checkpoint = ray.train.get_checkpoint()
        if keep_best and after.best_epoch == epoch and checkpoint is not None:
            with checkpoint.as_directory() as folder:
                keep_model(run, Path(folder) / "model")
    seconds = time.perf_counter() - started
    ray.train.report({**metrics, **verdict.figures, "dev_seconds": seconds, **workers.peak_memory()})
    if workers.rank == 0:
        after.write(run)  # last: a run that is killed before scores the epoch again, from its checkpoint
    return after


def _resumed(learner: Learner, run: RunFolder, workers: Workers) -> tuple[int, Mapping[str, float]]:
    """Load the last checkpoint where there is one; return its epoch (0 without) and that epoch's metrics."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0, {}
    with checkpoint.as_directory() as name:
        learner.load(Path(name))
        progress = json.loads((Path(name) / _PROGRESS).read_text(encoding="utf-8"))
    if workers.rank == 0:
        run.say(f"resumed after epoch {progress['epoch']}")
        if "best" in progress:
            run.say("its checkpoint is of an earlier version: no epoch before it can be kept as the best")
    return progress["epoch"], {name: progress[name] for name in progress if name not in _EARLIER}
