"""The runs of a study: what they are called, which are done, and which dev chose.

A run's name holds a hash of its resolved config: with the config unchanged a finished run is found
again under its name, and with a change it is another run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raybio.config import JobConfig, StudyConfig, TrainConfig, config_hash
from raybio.config.study_cells import Cell, study_folder, with_seed
from raybio.evaluation.tables import strict_f1
from raybio.run_folder import RunFolder

Kind = Literal["train", "search", "test", "cascade", "measure"]

SEARCH_FILE = "search.json"


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One piece of work. `configs` has one config, and for a search (ASHA) those of all its points."""

    kind: Kind
    name: str
    model: str
    corpus: str
    seed: int
    configs: tuple[JobConfig, ...]
    path: Path

    @property
    def config(self) -> Any:
        """The run's config; of a search the first point's, which asks for as much as any."""
        return self.configs[0]

    @property
    def done(self) -> bool:
        """Whether its result is in its folder."""
        if self.kind == "measure":
            report = read(self.path / "benchmark.json")
            return len(report.get("results", ())) == len(self.config.models)
        if self.kind == "search":
            return (self.path / SEARCH_FILE).is_file()
        scores = read(self.path / "scores.json")
        return {"train": "dev", "test": "test", "cascade": "test"}[self.kind] in scores


def chosen(study: StudyConfig, cell: Cell) -> TrainConfig | None:
    """Return the point with the best strict F1 on dev, the first of equals; None while not all are done.

    Whose strict F1 that is `training.metric_for_best_model` says.
    A point that failed keeps the choice open: another choice later would touch test a second time.
    """
    if len(cell.points) > 1 and study.search.method == "asha":
        found = read(search_path(study, cell) / SEARCH_FILE)
        return next((point for point in cell.points if point.name == found.get("chosen")), None)
    if not all(train_run(cell, point).done for point in cell.points):
        return None
    return best_on_dev(cell.points)


def best_on_dev(points: Sequence[TrainConfig]) -> TrainConfig:
    """Return which of points that are done is best on dev, by the scorer they name; the first of equals."""
    return max(points, key=lambda point: dev_f1(run_path(point), point.training.scorer) or 0.0)


def by_seed(study: StudyConfig, cell: Cell) -> list[StudyRun]:
    """Return the training runs of the chosen point, one for each seed; none while nothing is chosen."""
    point = chosen(study, cell)
    if point is None:
        return []
    others = (with_seed(study, cell, point, seed) for seed in study.seeds[1:])
    return [train_run(cell, each) for each in (point, *others)]


def train_run(cell: Cell, point: TrainConfig) -> StudyRun:
    """Return the run that trains a point of a cell."""
    return StudyRun(
        "train", str(point.name), cell.model.name, cell.corpus, point.seed, (point,), run_path(point)
    )


def run_path(point: TrainConfig) -> Path:
    """Return the run folder of a point."""
    return Path(point.output) / str(point.name)


def dev_f1(path: Path, scorer: str = "corrected") -> float | None:
    """Return the strict F1 on dev of the run in `path`, a fraction; None where it has none."""
    return f1(read(path / "scores.json"), "dev", scorer)


def f1(scores: dict[str, Any], split: str, scorer: str = "corrected") -> float | None:
    """Return the strict F1 of a split, a fraction, of several corpora their mean; None where not scored."""
    return strict_f1(scores[split], scorer) if split in scores else None


def read(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a run folder holds, and nothing where it is not there."""
    return RunFolder(path.parent).read_json(path.name) if path.is_file() else {}


def search_path(study: StudyConfig, cell: Cell) -> Path:
    """Return the folder of a cell's search by successive halving."""
    names = [str(point.name).rsplit("-", 1)[1] for point in cell.points]
    section = study.search.model_dump()
    digits = config_hash(study.model_copy(update={"options": {"points": names, **section}}), "options")
    return study_folder(study) / f"{cell.model.name}-{cell.corpus}-search-{digits}"
