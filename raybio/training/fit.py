"""A fine-tuning run from the outside: run folder, Ray Train, the best epoch, its scores."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ray.data
import ray.train
from ray.train import Checkpoint, CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from raybio.cluster import connected, quiet_data
from raybio.config import (
    LearningSection,
    LoggingSection,
    TrainConfig,
    TrainDecoderConfig,
    TrainEncoderConfig,
    changes,
    load_job,
    to_yaml,
)
from raybio.errors import TrainingError, UsageError
from raybio.run_folder import SPLITS_FILE, RunFolder, timestamp
from raybio.sentence_stream import read_sentences, sentence_dataset, split_labels
from raybio.stopping import way_on
from raybio.taggers.out_of_memory import tell_out_of_memory
from raybio.training.metrics_log import MetricsLog
from raybio.training.scoring import score_splits, scored_splits, uses_gpu

_FINAL = ("raybio.errors.TrainingError", "raybio.errors.ModelError")

# What a run may go on with: when it ends, where it runs, and what is done with what it learned.
_MAY_CHANGE = {
    *("resume", "name", "output", "corpus.data", "allow_pickle", "test", "bootstrap", "merge"),
    *("training.epochs", "training.patience"),
    *("training.max_batch_tokens", "training.gradient_checkpointing"),
}
_MAY_CHANGE_BELOW = ("workers.", "logging.")


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A finished run: its folder, its best epoch (from 1), and the scores per split."""

    run: RunFolder
    best_epoch: int
    scores: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """What each worker is given. `base` is the folder of the model it starts from."""

    config: Any
    base: Path
    labels: tuple[str, ...]
    run: RunFolder


def fine_tune(
    config: TrainConfig,
    base: Path,
    work: Callable[[Task], None],
    finish: Callable[[Task], None],
    progress: Callable[[str], None],
    train_rows: Callable[[Task], ray.data.Dataset] | None = None,
) -> TrainedModel:
    """Run `work` in every worker, keep the best epoch by strict F1 on dev, score it.

    The best checkpoint's `model/` becomes the run's model; `finish` adds to it, on the driver. Workers
    learn from the rows of the train split, or of `train_rows`.

    Raises:
        InputError: the corpus cannot be read.
        UsageError: a run of that name exists and `resume` is false, or the reverse; or it is to go
            on with options that change what is learned.
        TrainingError: there is nothing to learn, or the workers failed more often than
            `workers.max_failures`.
    """
    scored = scored_splits(config.corpus, config.test)
    labels = _labels(config, scored)
    run = _run_folder(config)
    run.write_json(SPLITS_FILE, split_labels(config.corpus))
    task = Task(config, base, labels, run)
    how = f"To go on from its last epoch: the same command with name={run.path.name} resume=true"
    with way_on(how), run.shown(progress), connected():
        quiet_data()
        run.say(f"run folder {run.path}")
        datasets: dict[str, Any] = {
            "train": train_rows(task) if train_rows else sentence_dataset(config.corpus, "train"),
            "dev": sentence_dataset(config.corpus, "dev"),
        }
        checkpoint, metrics = _kept(_fit(task, work, datasets), config.training)
        with checkpoint.as_directory() as folder:
            shutil.copytree(Path(folder) / "model", run.model, dirs_exist_ok=True)
        finish(task)
        run.say(f"kept epoch {metrics['epoch']}")
        scores = score_splits(config, run, scored)
    run.write_json("scores.json", scores)
    return TrainedModel(run, int(metrics["epoch"]), scores)


def _labels(config: TrainConfig, scored: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of the training split.

    All splits are read, so that a fault in any is told before hours of training and not after them.
    """
    labels = {span.label for s in read_sentences(config.corpus, "train") for span in s.gold or ()}
    if not labels:
        raise TrainingError("the training split has no entity to learn from. Check its file and format")
    for split in scored:
        deque(read_sentences(config.corpus, split), maxlen=0)
    return tuple(sorted(labels))


def _run_folder(config: TrainConfig) -> RunFolder:
    corpus = config.corpus.name or Path(cast(str, config.corpus.train)).stem
    derived = f"{config.model.split(':')[-1].split('/')[-1]}-{corpus}-{timestamp()}"
    path = Path(config.output) / (config.name or derived)
    begins = not (path / "config.yaml").is_file() if config.resume == "if-begun" else not config.resume
    recorded = to_yaml(config.model_copy(update={"resume": False}))
    if begins:
        return RunFolder.create(path, recorded)
    run = RunFolder.existing(path)
    _check_same_training(config, run)
    run.write_text("config.yaml", recorded)
    return run


def _check_same_training(config: TrainConfig, run: RunFolder) -> None:
    """Raise UsageError where `config` would learn something else than the epochs that `run` has."""
    file = run.path / "config.yaml"
    other = [
        change
        for change in changes(load_job(type(config), file, []), config)
        if change.key not in _MAY_CHANGE and not change.key.startswith(_MAY_CHANGE_BELOW)
    ]
    if other:
        raise UsageError(
            f"{file} began with other options ({'; '.join(map(str, other))}), so that no epoch to come would "
            "go on with what it learned. Give it its own, or begin a run of another name"
        )


def _fit(task: Task, work: Callable[[Task], None], datasets: dict[str, Any]) -> Any:
    config, run = task.config, task.run
    use_gpu = uses_gpu(config.workers)
    scored = config.training.keep == "best"

    def worker(settings: dict[str, Task]) -> None:
        with tell_out_of_memory(TrainingError, lambda: _less_memory(config)):
            work(settings["task"])

    trainer = _Trainer(
        worker,
        train_loop_config={"task": task},
        scaling_config=ScalingConfig(
            num_workers=config.workers.count,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": config.workers.cpus_per_worker, **({"GPU": 1} if use_gpu else {})},
        ),
        datasets=datasets,
        # No dataset is split: an equal split would drop rows. Workers share each batch instead.
        dataset_config=DataConfig(datasets_to_split=[]),
        run_config=RunConfig(
            name="ray",
            storage_path=str(run.path),
            failure_config=FailureConfig(max_failures=config.workers.max_failures),
            checkpoint_config=CheckpointConfig(
                num_to_keep=1, checkpoint_score_attribute=config.training.dev_metric if scored else None
            ),
            # ray.train hands RunConfig out under the type of the version before.
            callbacks=[_LogEpochs(run, config.logging), _StopWhereNothingWouldChange()],  # type: ignore[list-item]
        ),
    )
    try:
        return trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise TrainingError(
            f"training stopped: {cause_of(error)}. The logs are in {run.path / 'ray'}"
        ) from error


class _Trainer(TorchTrainer):
    """A trainer that leaves Ctrl-C to `raybio.stopping`: Ray's own handler ends with exit code 0."""

    def _register_sigint_handler(self, controller: Any) -> None:
        pass


def cause_of(error: BaseException) -> str:
    """Return what really happened, of a failure that crossed processes: its last line that names an error.

    Ray Data adds advice of its own below it, and that it failed because of it.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    theirs = [line for line in named if not line.startswith("ray.exceptions.")]
    return (theirs or named or lines or [type(error).__name__])[-1]


class _LogEpochs(ray.train.UserCallback):
    """Logs what rank 0 reports; runs in Ray Train's controller, so it survives a worker."""

    def __init__(self, run: RunFolder, logging: LoggingSection) -> None:
        self._run = run
        self._logging = logging
        self._log: MetricsLog | None = None

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        self._log = self._log or MetricsLog(self._run, self._logging)
        self._log.add(metrics[0])


class _StopWhereNothingWouldChange(ray.train.UserCallback):
    """Ends a run whose worker said why it cannot go on: what Ray Train would try again fails again."""

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        for error in worker_exceptions.values():
            cause = cause_of(error)
            if cause.startswith(_FINAL):
                raise TrainingError(cause)  # from a callback it ends the run, whatever `max_failures` says


def _less_memory(config: TrainEncoderConfig | TrainDecoderConfig) -> str:
    """Say that training needs more memory than there is, and which options lower that."""
    ways = [f"training.max_batch_tokens (now {config.training.max_batch_tokens})"]
    if isinstance(config, TrainDecoderConfig):
        if not config.training.gradient_checkpointing:
            ways.append("set training.gradient_checkpointing=true")
        if config.quantization.bits != 4:
            ways.append("set quantization.bits=4")
    return f"training does not fit in the device's memory. Lower {', or '.join(ways)}"


def _kept(result: Any, training: LearningSection) -> tuple[Checkpoint, dict[str, Any]]:
    if training.keep == "last":
        return result.checkpoint, result.metrics
    return max(result.best_checkpoints, key=lambda pair: pair[1][training.dev_metric])
