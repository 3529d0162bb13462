"""A training run's twin in MLflow: its options, the metrics of each epoch, its scores and how it ended.

`mlflow.json` in the run folder keeps the tracking URI and the id, so that a resumed run continues the
same MLflow run. MLflow that is not installed or does not answer ends a run before its first epoch; later
it ends none: what it missed is in metrics.jsonl, and is sent when the run ends.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

from raybio.errors import TrainingError, first_line
from raybio.run_folder import RunFolder

_FILE = "mlflow.json"
_EXPERIMENT = "raybio"
_MAX_PARAM = 500  # characters that every release takes
_PARAMS_AT_ONCE = 100
# MLflow's own defaults ask a server that is gone for some four minutes, at each call.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


def check_mlflow(uri: str) -> None:
    """See that MLflow is installed and answers.

    Raises:
        TrainingError: it is not, or does not.
    """
    with _reported(uri):
        _client(uri).get_experiment_by_name(_EXPERIMENT)


@contextmanager
def tracked(run: RunFolder, uri: str | None, options: Mapping[str, Any]) -> Iterator[None]:
    """Have the run and its `options` in MLflow at `uri`, if there is one, for a `with` block.

    How the block ends is recorded.

    Raises:
        TrainingError: MLflow does not take the run, before the block has begun.
    """
    if uri is None:
        yield
        return
    with _reported(uri):
        twin = MlflowRun.begin(run, options, _absolute(uri))
    try:
        yield
    except Exception:  # whatever ended the run; it is raised on
        twin.end("FAILED")
        raise
    except BaseException:  # stopped: Ctrl-C, SIGTERM
        twin.end("KILLED")
        raise
    twin.end("FINISHED")


class MlflowRun:
    """The MLflow run that `mlflow.json` of a run folder names."""

    def __init__(self, run: RunFolder) -> None:
        known = run.read_json(_FILE)
        self._run = run
        self._uri: str = known["uri"]
        self._id: str = known["run_id"]

    @cached_property
    def _client(self) -> Any:
        return _client(self._uri)

    @classmethod
    def begin(cls, run: RunFolder, options: Mapping[str, Any], uri: str) -> MlflowRun:
        """Create the MLflow run, or continue that of the run folder where it is at this `uri`."""
        if not _is_at(run, uri):
            client = _client(uri)
            experiment = client.get_experiment_by_name(_EXPERIMENT)
            place = experiment.experiment_id if experiment else client.create_experiment(_EXPERIMENT)
            made = client.create_run(place, run_name=run.path.name)
            run.write_json(_FILE, {"uri": uri, "run_id": made.info.run_id})
        twin = cls(run)
        twin._client.update_run(twin._id, status="RUNNING")
        twin._log_params(dict(_params(options)))
        return twin

    def add(self, row: Mapping[str, Any]) -> None:
        """Log one epoch's metrics; where MLflow does not take them the run's log says so, and no more."""
        with self._said(f"MLflow did not take the metrics of epoch {row['epoch']}; metrics.jsonl has them"):
            self._log(row)

    def end(self, status: str) -> None:
        """Send the metrics that MLflow missed, and record "FINISHED", "FAILED" or "KILLED"."""
        with self._said(f"MLflow did not take the end of the run ({status})"):
            if status != "KILLED":  # there are seconds left then, and the resumed run sends them
                self._send_missed()
            if status == "FINISHED" and (self._run.path / "scores.json").is_file():
                self._log(_final_scores(self._run.read_json("scores.json")))
            self._client.set_terminated(self._id, status)

    def _send_missed(self) -> None:
        steps = {name: self._steps(name) for name in self._client.get_run(self._id).data.metrics}
        for row in self._run.metrics():
            missed = {name: value for name, value in row.items() if row["epoch"] not in steps.get(name, ())}
            self._log({"epoch": row["epoch"], **missed})

    def _steps(self, name: str) -> set[int]:
        return {metric.step for metric in self._client.get_metric_history(self._id, name)}

    def _log(self, row: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric

        numbers = {name: float(value) for name, value in row.items() if isinstance(value, Real)}
        now, step = int(time.time() * 1000), int(numbers.pop("epoch", 0))
        if numbers:
            metrics = [Metric(name, value, now, step) for name, value in numbers.items()]
            self._client.log_batch(self._id, metrics=metrics)

    def _log_params(self, params: Mapping[str, str]) -> None:
        """Log the options; MLflow changes no parameter, so what a resumed run changed becomes a tag."""
        from mlflow.entities import Param, RunTag

        known = self._client.get_run(self._id).data.params
        new = [Param(key, value) for key, value in params.items() if key not in known]
        changed = [
            RunTag(f"resumed.{key}", value) for key, value in params.items() if known.get(key, value) != value
        ]
        for first in range(0, len(new), _PARAMS_AT_ONCE):
            self._client.log_batch(self._id, params=new[first : first + _PARAMS_AT_ONCE])
        if changed:
            self._client.log_batch(self._id, tags=changed)

    @contextmanager
    def _said(self, problem: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of MLflow, its database, the network: none is worth a training
            self._run.say(f"{problem} ({first_line(error)})")


def _final_scores(scores: Mapping[str, Any]) -> dict[str, float]:
    """Return precision, recall and F1 (strict, 0 to 1) of each split by both scorers, of the kept model."""
    return {
        f"final_{split}_{'' if scorer == 'corrected' else 'paper_'}strict_{figure}": (
            by_scorer[scorer]["overall"]["strict"][figure]
        )
        for split, by_scorer in scores.items()
        for scorer in ("corrected", "paper")
        for figure in ("precision", "recall", "f1")
    }


def has_twin(run: RunFolder) -> bool:
    """Say whether the run folder names an MLflow run."""
    return (run.path / _FILE).is_file()


def _is_at(run: RunFolder, uri: str) -> bool:
    if not has_twin(run):
        return False
    known = run.read_json(_FILE)
    if known["uri"] != uri:
        return False
    from mlflow.exceptions import MlflowException

    try:
        return bool(_client(uri).get_run(known["run_id"]).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # somebody removed it
            return False
        raise


def _client(uri: str) -> Any:
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = _absolute(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _absolute(uri: str) -> str:
    """Return `uri` with a path that means the same in each process of the run, wherever that stands."""
    if database := re.fullmatch(r"(sqlite(?:\+\w+)?):///(?!/)(.+)", uri):
        return f"{database[1]}:///{Path(database[2]).absolute()}"
    path = uri.removeprefix("file:") if not uri.startswith("file:/") else uri
    return path if re.match(r"[a-z][a-z0-9+.-]*:|databricks$|uc$", path) else Path(path).absolute().as_uri()


def _params(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _params(value, f"{above}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{above}{key}", text[:_MAX_PARAM]


@contextmanager
def _reported(uri: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "mlflow":
            raise TrainingError("logging.mlflow needs MLflow. Run `pip install 'raybio[mlflow]'`") from None
        raise TrainingError(
            f"logging.mlflow: {uri} needs the package {error.name}. Run `pip install 'raybio[mlflow]'`"
        ) from None
    except Exception as error:  # of MLflow, its database, the network
        raise TrainingError(
            f"logging.mlflow: {uri} cannot be used ({first_line(error)}). Start its server, or set "
            "logging.mlflow=null"
        ) from error
