"""Whether entities' scores are the share of them that is right: a diagram, before and after calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from raybio.reports.blocks import Axis, Block, Chart, Line, Mark, Table
from raybio.reports.sources import Run
from raybio.reports.tables import ABSENT, percent

_NOTE = (
    "Each mark is the predicted entities whose scores lie in one of 15 equally wide ranges: their mean "
    "score, and the percentage of them that is right (strict). On the diagonal scores mean what they say; "
    "below it they are too high. The expected calibration error is the mean distance from it over all "
    "entities (Guo et al., 2017)."
)


def reliability_blocks(run: Run) -> Iterator[Block]:
    """Yield what is said of the scores' reliability; nothing where they were not measured."""
    rows = [
        (
            split,
            f"{sum(one['entities'] for one in found['bins']):,}",
            percent(before["ece"]) if before else ABSENT,
            percent(found["ece"]),
        )
        for split, scores in run.scores.items()
        if (found := scores.get("reliability")) and found["bins"]
        for before in [found["uncalibrated"]]
    ]
    if not rows or run.split is None:
        return
    found = run.scores[run.split].get("reliability")
    if found and found["bins"]:
        before = found["uncalibrated"]
        lines = [
            Line("right as often as scored", ((0.0, 0.0), (1.0, 100.0)), guide=True),
            *([_line("before calibration", before)] if before else []),
            _line("calibrated on dev" if before else "scores", found),
        ]
        yield Chart(
            f"Reliability of scores on {run.split}",
            Axis("mean score", from_zero=True),
            Axis("right, percent", from_zero=True),
            tuple(lines),
            (_NOTE,),
        )
    yield Table(
        "Expected calibration error of entities' scores, in percent",
        ("split", "predicted entities", "before calibration", "of the scores given"),
        tuple(rows),
    )


def _line(name: str, found: Mapping[str, Any]) -> Line:
    points = tuple((one["score"], 100 * one["right"]) for one in found["bins"])
    return Line(name, points, tuple(Mark(*point) for point in points))
