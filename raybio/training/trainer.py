"""One run on Ray Train, from the outside: its folder, its workers, what is logged of it, and why it ended.

What is learned is no matter of this file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray.data
import ray.train
from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from raybio.cluster import connected, settle_data
from raybio.config import LearnConfig, LoggingSection, changes, load_recorded, resolved, to_yaml
from raybio.config.changes import Change
from raybio.errors import TrainingError, UsageError
from raybio.ray_messages import OUT_OF_MEMORY, cause_of
from raybio.run_folder import RunFolder, short_name, timestamp
from raybio.sentence_stream import dataset_of
from raybio.stopping import resume_hint
from raybio.storage import replace_folder
from raybio.taggers.out_of_memory import tell_out_of_memory
from raybio.training import parts
from raybio.training.callbacks import LogEpochs, SayFailures, StopWhereNothingWouldChange
from raybio.training.kept import Kept, best_model
from raybio.training.mlflow_run import check_mlflow, tracked
from raybio.training.parts import TrainRows
from raybio.training.recipes import Recipe_co, Task
from raybio.training.scoring import uses_gpu
from raybio.waiting import waiting

_RAY = "ray"
_STARTED = "started"
"""What a worker leaves beside Ray's own files, for the driver to see that none is waited for."""

# What a resumed run may change: when it ends, where it runs, and what is done with what it learned.
_MAY_CHANGE = {
    *("resume", "name", "output", "corpus.data", "allow_pickle", "test", "bootstrap", "merge"),
    *("training.epochs", "training.early_stopping_patience"),
    *("training.max_batch_tokens", "training.gradient_checkpointing"),
}
_MAY_CHANGE_BELOW = ("workers.", "logging.")


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
        file = path / "config.yaml"
        _check_same_training(changes(load_recorded(file), config), file)
    run.write_text("config.yaml", recorded)
    return run


@contextmanager
def begun(config: LearnConfig, about: str, progress: Callable[[str], None]) -> Iterator[RunFolder]:
    """Open a job's run folder, be connected to Ray, and track the run, for a `with` block.

    What the run says in its log goes to `progress` too; `about` is as `begin_run` has it.

    Raises:
        UsageError, TrainingError: as `begin_run` does.
    """
    run = begin_run(config, about)
    how = f"To resume after its last epoch: the same command with name={run.path.name} resume=true"
    mlflow = tracked(run, config.logging.mlflow, resolved(config))
    with resume_hint(how), run.shown(progress), mlflow, connected():
        settle_data()
        run.say(f"run folder {run.path}")
        yield run


def _check_same_training(changed: Iterable[Change], file: Path) -> None:
    """Raise UsageError where what `changed` since the config in `file` would have it learn something else."""
    other = [
        change
        for change in changed
        if change.key not in _MAY_CHANGE and not change.key.startswith(_MAY_CHANGE_BELOW)
    ]
    if other:
        raise UsageError(
            f"{file} began with other options ({'; '.join(map(str, other))}), so that no epoch to come would "
            "build on what it learned. Give it its own, or begin a run of another name"
        )


def fit(
    task: Task[Recipe_co],
    work: Callable[[Task[Recipe_co]], None],
    train: TrainRows,
    dev: Callable[[], Iterator[pa.Table]],
    logging: LoggingSection,
    *,
    keep_best: bool,
    finish: Callable[[Path], None] | None = None,
) -> int:
    """Run `work` in every worker; return the number (from 1) of the epoch that is kept.

    Workers read "train" and "dev" from Ray Data (`splits`); a large train split each in a part of its own.
    With `keep_best` it is the best of those that were scored, if any was; else the last. Its model, with
    what `finish` adds to that folder, takes the place of the run's model, whole.

    Raises:
        TrainingError: the workers failed more often than `workers.max_failures`, or said why they cannot
            continue.
        ClusterError: none has started in `workers.start_timeout_s`.
    """
    run, workers = task.run, task.workers
    use_gpu = uses_gpu(workers)
    of_each = {"CPU": workers.cpus_per_worker, "GPU": float(use_gpu)}
    started = run.path / _RAY / _STARTED
    started.unlink(missing_ok=True)
    in_parts = workers.num_workers > 1 and train.count > parts.MAX_READ_BY_ALL
    remedy = f"Lower {', or '.join(task.recipe.less_memory())}"

    def worker(settings: dict[str, Task[Recipe_co]]) -> None:
        problem = f"training does not fit in the device's memory. {remedy}"
        with tell_out_of_memory(TrainingError, lambda: problem):
            given = settings["task"]
            (given.run.path / _RAY).mkdir(exist_ok=True)
            (given.run.path / _RAY / _STARTED).touch()
            if ray.train.get_context().get_world_rank() == 0:
                given.run.say("started; reading the corpus and loading the model ...")
            work(replace(given, base=given.model.folder()))  # which is elsewhere on another node

    # Any: ray.train hands RunConfig out under the type of the version before.
    callbacks: list[Any] = [LogEpochs(run, logging), SayFailures(run), StopWhereNothingWouldChange()]
    trainer = _Trainer(
        worker,
        train_loop_config={"task": replace(task, in_parts=in_parts)},
        scaling_config=ScalingConfig(
            num_workers=workers.num_workers,
            use_gpu=use_gpu,
            resources_per_worker={name: amount for name, amount in of_each.items() if amount},
        ),
        datasets={"dev": dataset_of(dev), **_train_datasets(task, train, in_parts)},
        # Ray Data splits none: see `parts`.
        dataset_config=DataConfig(datasets_to_split=[]),
        run_config=RunConfig(
            name=_RAY,
            storage_path=str(run.path),
            failure_config=FailureConfig(max_failures=workers.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            callbacks=callbacks,
        ),
    )
    starting = f"starting {workers.num_workers} worker{'s' * (workers.num_workers > 1)}"
    own = ", each of which reads its own part" if in_parts else ""
    run.say(f"train: {train.count:,} sentences; {starting}{own} ...")
    try:
        with waiting(of_each, workers.start_timeout_s, run.say, started.exists, workers.spot_timeout_s):
            result: Any = trainer.fit()
    except ray.train.TrainingFailedError as error:
        cause = cause_of(error)
        advice = f". {remedy}" if cause == OUT_OF_MEMORY else ""
        raise TrainingError(
            f"training stopped: {cause}{advice}. The logs are in {run.path / _RAY}"
        ) from error
    best = Kept.read(run).best_epoch if keep_best else 0
    with result.checkpoint.as_directory() as last, replace_folder(run.model) as model:
        source = best_model(run) if best else Path(last) / "model"
        shutil.copytree(source, model, dirs_exist_ok=True)
        if finish is not None:
            finish(model)
    return best or int(result.metrics["epoch"])


def _train_datasets(task: Task[Recipe_co], train: TrainRows, in_parts: bool) -> dict[str, ray.data.Dataset]:
    """Return the train split as workers read it, by the names that they call it."""
    if not in_parts:
        return {"train": dataset_of(train.tables)}
    world = task.workers.num_workers
    own = [parts.Part(rank, world, task.recipe.training.batch_size) for rank in range(world)]
    return {part.split: dataset_of(partial(part.rows, train.tables)) for part in own}


class _Trainer(TorchTrainer):
    """A trainer that leaves Ctrl-C to `raybio.stopping`: Ray's own handler ends with exit code 0."""

    def _register_sigint_handler(self, controller: Any) -> None:
        pass
