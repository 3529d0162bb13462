"""How far a study is: a row for each of its runs, those that wait for what dev will choose too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from raybio.config import StudyConfig
from raybio.config.study_cells import cells
from raybio.evaluation.tables import align
from raybio.run_folder import RunFolder
from raybio.study.folder import StudyFolder
from raybio.study.runs import StudyRun, f1, read
from raybio.study.stages import Stage, stages

_HEADER = ("run", "what", "state", "epochs", "dev F1", "test F1")


@dataclass(frozen=True, slots=True)
class RunState:
    """One run: `state` is done, running, failed or waiting; F1 is strict, corrected, a fraction."""

    name: str
    kind: str
    model: str
    corpus: str
    seed: int
    state: str
    epochs: int
    dev_f1: float | None
    test_f1: float | None
    error: str | None

    def row(self) -> tuple[str, ...]:
        """Return it for a table."""
        scores = [f"{100 * each:.2f}" if each is not None else "" for each in (self.dev_f1, self.test_f1)]
        return self.name, self.kind, self.state, str(self.epochs or ""), *scores


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """A study's folder, and its runs in the order in which they are needed."""

    folder: str
    runs: tuple[RunState, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many runs are in each state."""
        return Counter(run.state for run in self.runs)

    def text(self) -> str:
        """Return it for a person to read."""
        lines = align(_HEADER, [run.row() for run in self.runs], words=3)
        states = ", ".join(f"{count} {state}" for state, count in self.counts.items())
        errors = [
            f"{run.name}: {run.error.strip().splitlines()[-1]}" for run in self.runs if run.error is not None
        ]
        return "\n".join([*lines, "", f"{self.folder}: {states}", *errors]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "folder": self.folder,
            "counts": dict(self.counts),
            "runs": [asdict(run) for run in self.runs],
        }


def study_status(study: StudyConfig) -> StudyStatus:
    """Read how far a study is; one that was never run is all waiting.

    Raises:
        ConfigError: a train config has faults.
    """
    folder = StudyFolder(study)
    running = folder.running()
    rows = (
        _state(stage.run, folder, stage.run.name in running) if stage.run else _waiting(stage)
        for stage in stages(study, cells(study))
    )
    return StudyStatus(str(folder.path), tuple(rows))


def _waiting(stage: Stage) -> RunState:
    """Return the row of what waits for other runs; until it is chosen it has no hash in its name."""
    model = stage.cascade.name if stage.cascade else stage.cell.model.name
    return RunState(
        stage.name, stage.kind, model, stage.cell.corpus, stage.seed, "waiting", 0, None, None, None
    )


def _state(run: StudyRun, folder: StudyFolder, running: bool) -> RunState:
    error = None if run.done or running else folder.error(run.name)
    state = "done" if run.done else "running" if running else "failed" if error else "waiting"
    scores = read(run.path / "scores.json")
    metrics = RunFolder(run.path).metrics() if run.kind == "train" else []
    best = max((row["dev_strict_f1"] for row in metrics if "dev_strict_f1" in row), default=None)
    dev = f1(scores, "dev")
    return RunState(
        name=run.name,
        kind=run.kind,
        model=run.model,
        corpus=run.corpus,
        seed=run.seed,
        state=state,
        epochs=len({row["epoch"] for row in metrics}),
        dev_f1=best if dev is None else dev,
        test_f1=f1(scores, "test") if run.kind in ("test", "cascade") else None,
        error=error,
    )
