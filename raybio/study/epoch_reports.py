"""Reports the epochs of the runs in progress as they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raybio.run_folder import RunFolder
from raybio.study.runs import StudyRun


class EpochReports:
    """Says what is new in the metrics of runs, one line an epoch."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._reported: dict[str, int] = {}

    def look(self, runs: Iterable[StudyRun]) -> None:
        """Say each row of the metrics of the training runs among `runs` that was not said yet."""
        for run in runs:
            if run.kind == "train":
                metrics = RunFolder(run.path).metrics()
                for row in metrics[self._reported.get(run.name, 0) :]:
                    score = row.get("dev_strict_f1")
                    found = "not scored" if score is None else f"dev strict F1 {100 * score:.2f}"
                    self._say(f"{run.name}: epoch {row['epoch']}, {found}")
                self._reported[run.name] = len(metrics)
