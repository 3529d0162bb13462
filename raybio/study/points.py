"""Trains the points of a study: one, or many most of which stop early.

The search that stops early is asynchronous successive halving (Li et al., 2020) by Ray Tune. Each point is
trained in the run folder that it would have in a grid; one that is stopped has the metrics of its epochs and
no scores. Points that an ended command had finished are reported to Tune again from their metrics, and not
trained again.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from raybio.config import TrainConfig
from raybio.errors import TrainingError
from raybio.run_folder import RunFolder
from raybio.study.demand import at_once, nodes_now
from raybio.study.runs import SEARCH_FILE, StudyRun, best_on_dev, dev_f1, run_path
from raybio.training.sweep import train_point

_LOOK_SECONDS = 0.5


def train(point: TrainConfig) -> None:
    """Train a point in its run folder through the function of its job; resume what is there.

    Raises:
        as `train_encoder` and `train_decoder`.
    """
    begun = (run_path(point) / "config.yaml").is_file()
    train_point(point.model_copy(update={"resume": begun}), progress=in_the_log)


def in_the_log(line: str) -> None:
    """Say nothing: a run's log.txt has it all."""


def search(run: StudyRun, grace_epochs: int, reduction: int) -> None:
    """Train the points of a search, most of them in part; write which one is best on dev.

    Raises:
        TrainingError: a point failed, so that the choice stays open.
    """
    points: tuple[TrainConfig, ...] = run.configs  # type: ignore[assignment]
    shutil.rmtree(run.path, ignore_errors=True)  # Tune's own notes: what counts is in the points' folders
    epochs = points[0].training.epochs
    tuner = tune.Tuner(
        # Its workers ask for what they need; what waits for them needs nothing, which Tune does not take.
        tune.with_resources(tune.with_parameters(_trial, points=points), {"CPU": 0, "memory": 1}),
        param_space={"point": tune.grid_search(list(range(len(points))))},
        tune_config=tune.TuneConfig(
            scheduler=ASHAScheduler(
                time_attr="epoch",
                metric=points[0].training.metric_for_best_model,
                mode="max",
                max_t=epochs,
                grace_period=min(grace_epochs, epochs),
                reduction_factor=reduction,
            ),
            max_concurrent_trials=at_once(run, nodes_now(), len(points)),
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(run.path.absolute()), verbose=0),
    )
    results = tuner.fit()
    if results.errors:
        raise TrainingError(
            f"a point of the search failed: {str(results.errors[0]).strip().splitlines()[-1]}"
        )
    RunFolder(run.path).write_json(SEARCH_FILE, _outcome(points))


def _outcome(points: Sequence[TrainConfig]) -> dict[str, Any]:
    outcomes, metric = [], points[0].training.metric_for_best_model
    for point in points:
        path = run_path(point)
        metrics = RunFolder(path).metrics()
        outcomes.append(
            {
                "name": point.name,
                "epochs": len({row["epoch"] for row in metrics}),
                f"best_epoch_{metric}": max((row[metric] for row in metrics if metric in row), default=None),
                "finished": dev_f1(path) is not None,
            }
        )
    finished = [point for point in points if dev_f1(run_path(point)) is not None]
    if not finished:
        raise TrainingError("no point of the search was trained to its end")
    return {"chosen": best_on_dev(finished).name, "points": outcomes}


# What follows runs in Tune's trials.


def _trial(settings: Mapping[str, int], points: Sequence[TrainConfig]) -> None:
    """Train one point beside this thread, and report each epoch as it ends; Tune ends the process."""
    point = points[settings["point"]]
    failures: list[BaseException] = []

    def learn() -> None:
        try:
            if dev_f1(run_path(point)) is None:
                train(point)
        except BaseException as error:  # a thread's end says nothing: raised again by the thread that waits
            failures.append(error)

    learner = threading.Thread(target=learn, daemon=True)
    learner.start()
    reported = 0
    while True:
        learner.join(_LOOK_SECONDS)
        ended = not learner.is_alive()
        if failures:
            raise failures[0]
        # Tune ends a trial that it has seen to its last epoch: that is reported when the scores are there.
        metrics = [
            row
            for row in RunFolder(run_path(point)).metrics()
            # An epoch that could not be scored is nothing to compare by.
            if point.training.metric_for_best_model in row and (ended or row["epoch"] < point.training.epochs)
        ]
        for row in metrics[reported:]:
            tune.report({name: row[name] for name in ("epoch", point.training.metric_for_best_model)})
        reported = len(metrics)
        if ended:
            return
