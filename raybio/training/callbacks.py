"""What Ray Train's controller does with what workers report, and why a run ended.

The controller is a process of its own, which imports this file: neither torch nor transformers are needed
here, and would take it seconds.
"""

from __future__ import annotations

from typing import Any

import ray.train
from ray.train import Checkpoint

from raybio.config import LoggingSection
from raybio.errors import TrainingError
from raybio.ray_messages import cause_of
from raybio.run_folder import RunFolder
from raybio.training.metrics_log import MetricsLog

_FINAL = ("raybio.errors.TrainingError", "raybio.errors.ModelError")


class LogEpochs(ray.train.UserCallback):
    """Logs what rank 0 reports; runs in Ray Train's controller, so it survives a worker."""

    def __init__(self, run: RunFolder, logging: LoggingSection) -> None:
        self._run = run
        self._logging = logging
        self._log: MetricsLog | None = None

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        """Log what rank 0 reported; an epoch's checkpoint comes before its metrics, and has none."""
        if checkpoint is None:
            self._log = self._log or MetricsLog(self._run, self._logging)
            self._log.add(metrics[0])


class SayFailures(ray.train.UserCallback):
    """Says why workers failed when they do, each cause once: Ray Train tries again without a word."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._said: set[str] = set()

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Say what is new of their failures."""
        for cause in dict.fromkeys(map(cause_of, worker_exceptions.values())):
            if cause not in self._said:
                self._said.add(cause)
                self._run.say(f"a worker failed: {cause}")


class StopWhereNothingWouldChange(ray.train.UserCallback):
    """Ends a run whose worker said why it cannot continue: what Ray Train would try again fails again."""

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Raise TrainingError where one of them is final; from a callback it ends the run at once."""
        for error in worker_exceptions.values():
            cause = cause_of(error)
            if cause.startswith(_FINAL):
                raise TrainingError(cause)
