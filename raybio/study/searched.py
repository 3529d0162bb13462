"""The searches of a study: every point with what it reached on dev, the chosen one and the losers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import getitem

from raybio.config import StudyConfig, TrainConfig
from raybio.config.changes import changes
from raybio.config.study_cells import Cell, cells
from raybio.config.writing import resolved
from raybio.reports.blocks import Table
from raybio.reports.tables import ABSENT, percent
from raybio.run_folder import RunFolder
from raybio.study.runs import chosen, dev_f1, run_path


def search_table(study: StudyConfig) -> Table | None:
    """Return the points of all searches, the best of each first; None where no search has begun.

    Raises:
        ConfigError: a train config has faults.
        FormatError: a file of a run folder cannot be read.
    """
    rows = [row for cell in cells(study) if len(cell.points) > 1 for row in _rows(study, cell)]
    if all(row[-1] == ABSENT for row in rows):
        return None
    return Table(
        caption="The points of each search: best strict F1 on dev, percent",
        header=("corpus", "model", "options", "outcome", "epochs", "dev F1"),
        rows=tuple(rows),
        notes=("Of a point that did not end, the best of its epochs. Dev chooses once all have ended.",),
        words=4,
        strong=frozenset(number for number, row in enumerate(rows) if row[3] == "chosen"),
    )


def _rows(study: StudyConfig, cell: Cell) -> Iterator[tuple[str, ...]]:
    """Yield a row for each point of a cell's search, best first."""
    best, first = chosen(study, cell), cell.points[0]
    keys = dict.fromkeys(
        change.key for point in cell.points for change in changes(first, point) if change.key != "name"
    )
    points = [(point, *_reached(point)) for point in cell.points]
    for point, f1, epochs in sorted(points, key=lambda each: -(each[1] or 0.0)):
        ended = dev_f1(run_path(point)) is not None
        outcome = "chosen" if point == best else "lost" if ended else "stopped early" if best else "not done"
        values = resolved(point)
        options = ", ".join(f"{key}={reduce(getitem, key.split('.'), values)}" for key in keys)
        shown = ABSENT if f1 is None else percent(f1)
        yield cell.corpus, cell.model.name, options, outcome, str(epochs), shown


def _reached(point: TrainConfig) -> tuple[float | None, int]:
    """Return a point's strict F1 on dev, by the scorer that chooses, and how many epochs it learned."""
    path, metric = run_path(point), point.training.metric_for_best_model
    rows = RunFolder(path).metrics()
    f1 = dev_f1(path, point.training.scorer)
    if f1 is None:
        f1 = max((row[metric] for row in rows if metric in row), default=None)
    return f1, len({row["epoch"] for row in rows})
