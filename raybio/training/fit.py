"""Fine-tunes a tagger of any kind: its workers, the best epoch, its scores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import ray.data

from raybio.config import TrainConfig
from raybio.errors import TrainingError
from raybio.run_folder import SPLITS_FILE, RunFolder
from raybio.sentence_stream import read_sentences, sentence_dataset, split_labels
from raybio.taggers.calibration import write_calibration
from raybio.training import steps
from raybio.training.scoring import score_splits, scored_splits
from raybio.training.splits import SHUFFLE_BUFFER
from raybio.training.trainer import Task, begin_run, fit, under_way

_CALIBRATION_SENTENCES = 64


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A finished run: its folder, its best epoch (from 1), and the scores per split."""

    run: RunFolder
    best_epoch: int
    scores: dict[str, Any]


def fine_tune(
    config: TrainConfig,
    base: Path,
    work: Callable[[Task], None],
    finish: Callable[[Task, Path], None],
    progress: Callable[[str], None],
    train_rows: Callable[[Task], ray.data.Dataset] | None = None,
    score: bool = True,
) -> TrainedModel:
    """Run `work` in every worker, keep the best epoch by strict F1 on dev, score it.

    The best checkpoint's `model/` becomes the run's model; `finish` adds to that folder, on the driver.
    Workers learn from the rows of the train split, or of `train_rows`. Without `score` there are no scores.

    Raises:
        InputError: the corpus cannot be read.
        UsageError: a run of that name exists and `resume` is false, or the reverse; or it is to go
            on with options that change what is learned.
        TrainingError: there is nothing to learn, or the workers failed more often than
            `workers.max_failures`.
    """
    scored = scored_splits(config.corpus, config.test)
    labels = _labels(config, scored)
    run = begin_run(config, config.corpus.name or Path(cast(str, config.corpus.train)).stem)
    run.write_json(SPLITS_FILE, split_labels(config.corpus))
    task = Task(config, base, labels, run)
    with under_way(run, config, progress):
        datasets = {
            "train": train_rows(task) if train_rows else sentence_dataset(config.corpus, "train"),
            "dev": sentence_dataset(config.corpus, "dev"),
        }
        epoch = fit(task, work, datasets, config.training.keep_checkpoint == "best", finish)
        run.say(f"kept epoch {epoch}")
        scores = score_splits(config, run, scored) if score else {}
    run.write_json("scores.json", scores)
    return TrainedModel(run, epoch, scores)


def leave_calibration(task: Task, model: Path) -> None:
    """Write into the folder of a trained token classifier what its int8 form needs."""
    stream = steps.shuffled(read_sentences(task.config.corpus, "train"), SHUFFLE_BUFFER, task.config.seed)
    write_calibration(model, list(islice(stream, _CALIBRATION_SENTENCES)))


def _labels(config: TrainConfig, scored: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of the training split.

    All splits are read, so that a fault in any is reported before hours of training and not after them.
    """
    labels = {span.label for s in read_sentences(config.corpus, "train") for span in s.gold or ()}
    if not labels:
        raise TrainingError("the training split has no entity to learn from. Check its file and format")
    for split in scored:
        deque(read_sentences(config.corpus, split), maxlen=0)
    return tuple(sorted(labels))
