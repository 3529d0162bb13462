"""Where a training run's metrics go: the run folder always, TensorBoard and MLflow by choice."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from raybio.config import LoggingSection
from raybio.errors import TrainingError
from raybio.run_folder import RunFolder


class MetricsLog:
    """Writes one row of metrics per epoch to each place that the configuration names."""

    def __init__(self, run: RunFolder, logging: LoggingSection) -> None:
        self._run = run
        self._tensorboard = _tensorboard(run) if logging.tensorboard else None
        self._mlflow = _mlflow(run, logging.mlflow) if logging.mlflow else None

    def add(self, row: Mapping[str, Any]) -> None:
        """Log one epoch's metrics; `row["epoch"]` counts from 1."""
        self._run.add_metrics(row)
        numbers = {name: float(value) for name, value in row.items() if isinstance(value, Real)}
        step = int(numbers.pop("epoch"))
        if self._tensorboard:
            for name, value in numbers.items():
                self._tensorboard.add_scalar(name, value, step)
            self._tensorboard.flush()
        if self._mlflow:
            client, run_id = self._mlflow
            for name, value in numbers.items():
                client.log_metric(run_id, name, value, step=step)


def _tensorboard(run: RunFolder) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run.path / "tensorboard"))


def _mlflow(run: RunFolder, uri: str) -> tuple[Any, str]:
    try:
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise TrainingError("logging.mlflow needs MLflow. Run `pip install 'raybio[mlflow]'`") from None
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("raybio")
    experiment_id = experiment.experiment_id if experiment else client.create_experiment("raybio")
    return client, client.create_run(experiment_id, run_name=run.path.name).info.run_id
