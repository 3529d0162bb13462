"""One run on Ray Train, from the outside: its folder, its workers, what is logged of it, and why it ended.

What is learned is no matter of this file: `fine_tune` trains taggers with it, `adapt_encoder` encoders.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.data
import ray.train
from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from raybio.cluster import connected, settle_data
from raybio.config import LearnConfig, TrainDecoderConfig, changes, load_recorded, to_yaml
from raybio.errors import TrainingError, UsageError
from raybio.run_folder import RunFolder, short_name, timestamp
from raybio.stopping import resume_hint
from raybio.storage import replace_folder
from raybio.taggers.out_of_memory import tell_out_of_memory
from raybio.training.callbacks import OUT_OF_MEMORY, LogEpochs, StopWhereNothingWouldChange, cause_of
from raybio.training.kept import Kept, best_model
from raybio.training.mlflow_run import check_mlflow, tracked
from raybio.training.scoring import uses_gpu

_RAY = "ray"

# What a resumed run may change: when it ends, where it runs, and what is done with what it learned.
_MAY_CHANGE = {
    *("resume", "name", "output", "corpus.data", "allow_pickle", "test", "bootstrap", "merge"),
    *("training.epochs", "training.early_stopping_patience"),
    *("training.max_batch_tokens", "training.gradient_checkpointing"),
}
_MAY_CHANGE_BELOW = ("workers.", "logging.")


@dataclass(frozen=True, slots=True)
class Task:
    """What each worker is given.

    `base` is the folder of the model it starts from; `labels` are those to be learned, if there are any.
    """

    config: Any
    base: Path
    labels: tuple[str, ...]
    run: RunFolder


def begin_run(config: LearnConfig, about: str) -> RunFolder:
    """Make the run's folder, or open the one to resume; `about` is in its name where it has none.

    Raises:
        UsageError: a run of that name exists and `resume` is false, or the reverse; or it is to go
            on with options that change what is learned, though its workers began, or rows were prepared.
        TrainingError: `logging.mlflow` is set, and MLflow is not installed or does not answer.
    """
    if config.logging.mlflow:
        check_mlflow(config.logging.mlflow)
    derived = f"{short_name(config.model)}-{about}-{timestamp()}"
    path = Path(config.output) / (config.name or derived)
    begins = not (path / "config.yaml").is_file() if config.resume == "if-begun" else not config.resume
    recorded = to_yaml(config.model_copy(update={"resume": False}))
    if begins:
        return RunFolder.create(path, recorded)
    run = RunFolder.existing(path)
    if (run.path / _RAY).exists() or any(run.path.glob("*.parquet")):
        _check_same_training(config, run)
    run.write_text("config.yaml", recorded)
    return run


@contextmanager
def under_way(run: RunFolder, config: LearnConfig, progress: Callable[[str], None]) -> Iterator[None]:
    """Be connected to Ray, pass the run's log to `progress`, and track the run, for a `with` block."""
    how = f"To resume after its last epoch: the same command with name={run.path.name} resume=true"
    with resume_hint(how), run.shown(progress), tracked(run, config), connected():
        settle_data()
        run.say(f"run folder {run.path}")
        yield


def _check_same_training(config: LearnConfig, run: RunFolder) -> None:
    """Raise UsageError where `config` would learn something else than the epochs that `run` has."""
    file = run.path / "config.yaml"
    other = [
        change
        for change in changes(load_recorded(file), config)
        if change.key not in _MAY_CHANGE and not change.key.startswith(_MAY_CHANGE_BELOW)
    ]
    if other:
        raise UsageError(
            f"{file} began with other options ({'; '.join(map(str, other))}), so that no epoch to come would "
            "build on what it learned. Give it its own, or begin a run of another name"
        )


def fit(
    task: Task,
    work: Callable[[Task], None],
    datasets: Mapping[str, ray.data.Dataset],
    keep_best: bool,
    finish: Callable[[Task, Path], None] | None = None,
) -> int:
    """Run `work` in every worker over `datasets`; return the number (from 1) of the epoch that is kept.

    With `keep_best` it is the best of those that were scored, if any was; else the last. Its model, with
    what `finish` adds to that folder, takes the place of the run's model, whole.

    Raises:
        TrainingError: the workers failed more often than `workers.max_failures`, or said why they cannot
            continue.
    """
    config, run = task.config, task.run
    use_gpu = uses_gpu(config.workers)

    def worker(settings: dict[str, Task]) -> None:
        with tell_out_of_memory(TrainingError, lambda: _less_memory(config)):
            work(settings["task"])

    trainer = _Trainer(
        worker,
        train_loop_config={"task": task},
        scaling_config=ScalingConfig(
            num_workers=config.workers.num_workers,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": config.workers.cpus_per_worker, **({"GPU": 1} if use_gpu else {})},
        ),
        datasets=dict(datasets),
        # No dataset is split: an equal split would drop rows. Workers share each batch instead.
        dataset_config=DataConfig(datasets_to_split=[]),
        run_config=RunConfig(
            name=_RAY,
            storage_path=str(run.path),
            failure_config=FailureConfig(max_failures=config.workers.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            # ray.train hands RunConfig out under the type of the version before.
            callbacks=[LogEpochs(run, config.logging), StopWhereNothingWouldChange()],  # type: ignore[list-item]
        ),
    )
    try:
        result: Any = trainer.fit()
    except ray.train.TrainingFailedError as error:
        cause = cause_of(error)
        remedy = f". {_ways_to_less_memory(config)}" if cause == OUT_OF_MEMORY else ""
        raise TrainingError(
            f"training stopped: {cause}{remedy}. The logs are in {run.path / _RAY}"
        ) from error
    best = Kept.read(run).best_epoch if keep_best else 0
    with result.checkpoint.as_directory() as last, replace_folder(run.model) as model:
        source = best_model(run) if best else Path(last) / "model"
        shutil.copytree(source, model, dirs_exist_ok=True)
        if finish is not None:
            finish(task, model)
    return best or int(result.metrics["epoch"])


class _Trainer(TorchTrainer):
    """A trainer that leaves Ctrl-C to `raybio.stopping`: Ray's own handler ends with exit code 0."""

    def _register_sigint_handler(self, controller: Any) -> None:
        pass


def _less_memory(config: Any) -> str:
    """Say that training needs more memory than there is, and which options lower that."""
    return f"training does not fit in the device's memory. {_ways_to_less_memory(config)}"


def _ways_to_less_memory(config: Any) -> str:
    ways = [f"training.max_batch_tokens (now {config.training.max_batch_tokens})"]
    if isinstance(config, TrainDecoderConfig):
        if not config.training.gradient_checkpointing:
            ways.append("set training.gradient_checkpointing=true")
        if config.quantization.bits != 4:
            ways.append("set quantization.bits=4")
    return f"Lower {', or '.join(ways)}"
