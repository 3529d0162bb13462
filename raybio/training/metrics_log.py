"""Where a training run's metrics go: the run folder always, TensorBoard and MLflow by choice."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from raybio.config import LoggingSection
from raybio.run_folder import RunFolder
from raybio.training.mlflow_run import MlflowRun, has_twin


class MetricsLog:
    """Writes one row of metrics per epoch to each place that the configuration names."""

    def __init__(self, run: RunFolder, logging: LoggingSection) -> None:
        self._run = run
        self._tensorboard = _tensorboard(run) if logging.tensorboard else None
        self._mlflow = MlflowRun(run) if logging.mlflow and has_twin(run) else None

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
            self._mlflow.add(row)


def _tensorboard(run: RunFolder) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run.path / "tensorboard"))
