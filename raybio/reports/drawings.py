"""Where things fall in charts, curves and dot plots: numbers and paths, which the page's template draws.

A line differs from the others by colour, dashes and the shape of its marks, so that it can be found
without colours too. A curve has a drawing of its own with its own scale: two figures of different kinds
never share an axis. Values stand beside the marks, so that nothing has to be read off an axis alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from raybio.reports.blocks import Axis, Chart, Curve, DotPlot, Line, Mark

_COLOURS, _SHAPES = 6, 4
_FEW_DECADES = 2
_MAX_EPOCH_TICKS = 8
_EQUAL = 1e-6


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a drawing, and its margins."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int


_OF_A_CHART = Frame(460, 290, 50, 26, 30, 44)
_OF_A_CURVE = Frame(340, 200, 40, 52, 14, 26)
_ROOM = {"named": 24, "epochs": 8}
"""Beside names, which are longer than figures and stand under the middle of their places; beside epochs."""


class Scale:
    """Where values fall between `start` and `end`, which are the places of `low` and `high`."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False) -> None:
        self._low, self._high, self._log = self._position(low, log), self._position(high, log), log
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """Return the place of a value; in the middle, where there is one value only."""
        span = self._high - self._low
        share = (self._position(value, self._log) - self._low) / span if span else 0.5
        return self._start + share * (self._end - self._start)

    @staticmethod
    def _position(value: float, log: bool) -> float:
        return math.log10(value) if log else value


@dataclass(frozen=True, slots=True)
class DrawnMark:
    """The outline of a mark, and its interval as (x1, x2, y1, y2)."""

    outline: str
    whisker: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line of a chart: its CSS classes, its points ("" without any), marks, and its mark in the legend."""

    name: str
    kind: str
    points: str
    marks: tuple[DrawnMark, ...]
    in_legend: str


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart: ticks as (place, text), lines, and its figures in words."""

    frame: Frame
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[DrawnLine, ...]
    in_words: str


def draw_chart(chart: Chart) -> DrawnChart:
    """Return where everything in a chart falls."""
    frame = _OF_A_CHART
    ticks = {True: _ticks(chart.x, chart.lines, True), False: _ticks(chart.y, chart.lines, False)}
    room = _ROOM["named"] if chart.x.named else 0
    x = Scale(
        *(ticks[True][0], ticks[True][-1], frame.left + room, frame.width - frame.right - room), chart.x.log
    )
    y = Scale(ticks[False][0], ticks[False][-1], frame.height - frame.bottom, frame.top, chart.y.log)
    lines = tuple(
        DrawnLine(
            line.name,
            f"s{number % _COLOURS} d{number % _SHAPES}" if not line.guide else "guide",
            " ".join(f"{x.at(across):.1f},{y.at(up):.1f}" for across, up in line.points),
            tuple(_drawn_mark(mark, number, x, y) for mark in line.marks),
            _outline(number, 15, 7),
        )
        for number, line in enumerate(chart.lines)
    )
    in_words = "; ".join(
        f"{line.name}: "
        + ", ".join(f"{chart.y.shown(mark.y)} at {chart.x.shown(mark.x)}" for mark in line.marks)
        for line in chart.lines
        if line.marks
    )
    x_names, y_names = dict(chart.x.named), dict(chart.y.named)
    return DrawnChart(
        frame,
        tuple((x.at(tick), x_names.get(tick, f"{tick:g}")) for tick in ticks[True]),
        tuple((y.at(tick), y_names.get(tick, f"{tick:g}")) for tick in ticks[False]),
        lines,
        in_words,
    )


def _ticks(axis: Axis, lines: Sequence[Line], across: bool) -> list[float]:
    """Return what stands at an axis of a chart."""
    if axis.named:
        return [place for place, _ in axis.named]
    values = [point[0 if across else 1] for line in lines for point in line.points]
    for mark in (mark for line in lines for mark in line.marks):
        values.append(mark.x if across else mark.y)
        if mark.across is across and mark.low is not None and mark.high is not None:
            values += [mark.low, mark.high]
    if axis.log:
        return log_ticks(min(values), max(values))
    return nice_ticks(min(0.0, *values) if axis.from_zero else min(values), max(values))


def _drawn_mark(mark: Mark, number: int, x: Scale, y: Scale) -> DrawnMark:
    across, up = x.at(mark.x), y.at(mark.y)
    outline = _outline(number, across, up)
    if mark.low is None or mark.high is None:
        return DrawnMark(outline, None)
    if mark.across:
        return DrawnMark(outline, (x.at(mark.low), x.at(mark.high), up, up))
    return DrawnMark(outline, (across, across, y.at(mark.low), y.at(mark.high)))


def _outline(number: int, x: float, y: float, r: float = 4.5) -> str:
    """Return the path of a disc, square, triangle or diamond around (x, y)."""
    if number % _SHAPES == 0:
        return f"M{x - r:.1f},{y:.1f}a{r},{r} 0 1 0 {2 * r},0a{r},{r} 0 1 0 {-2 * r},0z"
    if number % _SHAPES == 1:
        return f"M{x - r + 0.5:.1f},{y - r + 0.5:.1f}h{2 * r - 1}v{2 * r - 1}h{1 - 2 * r}z"
    if number % _SHAPES == 2:
        return f"M{x:.1f},{y - r - 0.5:.1f}l{r + 0.5},{2 * r}h{-2 * r - 1}z"
    return f"M{x:.1f},{y - r - 1:.1f}l{r + 1},{r + 1}l{-r - 1},{r + 1}l{-r - 1},{-r - 1}z"


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round numbers, evenly spaced, that enclose `[low, high]`; equal figures get room around them."""
    if high - low < _EQUAL:
        low, high = low - 0.5, high + 0.5
    spread = high - low
    magnitude = 10.0 ** math.floor(math.log10(spread / about))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= spread / about)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten, and where they are few 2 and 5 times them, that enclose `[low, high]`.

    Figures are above 0; those of one place get room around them.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    steps = (1, 2, 5) if last - first <= _FEW_DECADES else (1,)
    ticks = [step * 10.0**power for power in range(first, last) for step in steps] + [10.0**last]
    start = max(i for i, tick in enumerate(ticks) if tick <= low * (1 + 1e-9) or i == 0)
    end = min(i for i, tick in enumerate(ticks) if tick >= high * (1 - 1e-9) or i == len(ticks) - 1)
    end = max(end, min(start + 1, len(ticks) - 1))
    return ticks[min(start, end - 1) : end + 1]


@dataclass(frozen=True, slots=True)
class DrawnCurve:
    """A curve by epoch: ticks as (place, text), its points (x, y), and values as (x, y, where on x, text).

    `kept` is the index of the point to mark.
    """

    frame: Frame
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    points: tuple[tuple[float, float], ...]
    kept: int | None
    values: tuple[tuple[float, float, str, str], ...]


def draw_curve(curve: Curve) -> DrawnCurve:
    """Return where everything in the drawing of a curve falls."""
    frame, epochs = _OF_A_CURVE, curve.epochs
    ticks = nice_ticks(min(curve.values), max(curve.values))
    room = _ROOM["epochs"]
    x = Scale(epochs[0], epochs[-1], frame.left + room, frame.width - frame.right - room)
    y = Scale(ticks[0], ticks[-1], frame.height - frame.bottom, frame.top)
    points = tuple((x.at(epoch), y.at(value)) for epoch, value in zip(epochs, curve.values, strict=True))
    kept = epochs.index(curve.kept) if curve.kept in epochs else None
    values = []
    if kept is not None and kept != len(epochs) - 1:
        across, down = points[kept]
        down += -10 if down > frame.top + 16 else 20
        values.append((across, down, "middle", curve.shown(curve.values[kept])))
    values.append((points[-1][0] + 9, points[-1][1] + 4, "", curve.shown(curve.values[-1])))
    every = -(-len(epochs) // _MAX_EPOCH_TICKS)
    return DrawnCurve(
        frame,
        tuple((x.at(epoch), str(epoch)) for epoch in epochs[::every]),
        tuple((y.at(tick), f"{tick:g}") for tick in ticks),
        points,
        kept,
        tuple(values),
    )


@dataclass(frozen=True, slots=True)
class DrawnDots:
    """The ends of a dot plot's scale, and for each row the places of its low end, value and high end.

    Places are percent of the scale.
    """

    low: float
    high: float
    rows: tuple[tuple[float | None, float, float | None], ...]


def draw_dots(plot: DotPlot) -> DrawnDots:
    """Return where the dots fall; the scale is of percent, and ends at round figures."""
    lows = [dot.value if dot.low is None else dot.low for dot in plot.dots]
    highs = [dot.value if dot.high is None else dot.high for dot in plot.dots]
    ticks = nice_ticks(min(lows), max(highs))
    low, high = max(0.0, ticks[0]), min(100.0, ticks[-1])
    scale = Scale(low, high, 0, 100)
    rows = tuple(
        (
            None if dot.low is None else scale.at(dot.low),
            scale.at(dot.value),
            None if dot.high is None else scale.at(dot.high),
        )
        for dot in plot.dots
    )
    return DrawnDots(low, high, rows)
