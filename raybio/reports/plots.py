"""Curves and dots as inline SVG, coloured by the page's CSS variables.

A curve has a drawing of its own with its own scale: two figures of different kinds never share
an axis. Values stand beside the marks, so that nothing has to be read off an axis alone.
"""

from __future__ import annotations

import math
from html import escape

from raybio.reports.blocks import Curve, Curves, Dot, DotPlot

_WIDTH, _HEIGHT = 340, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 52, 14, 26
_MAX_EPOCH_TICKS = 8
_EQUAL = 1e-6


def curves_svg(block: Curves) -> str:
    """Return one drawing for each curve, side by side where the page is wide enough."""
    drawings = "".join(_curve_svg(curve) for curve in block.curves)
    caption = f"<figcaption>{escape(block.caption)}</figcaption>"
    return f'<figure>{caption}<div class="curves">{drawings}</div></figure>\n'


def dot_plot_svg(block: DotPlot) -> str:
    """Return rows of name, dot with interval, and value, on one scale that is labelled at its ends."""
    low, high = _range(block.dots)
    rows = "".join(_dot_row(dot, low, high) for dot in block.dots)
    legend = "Filled: this report. Hollow: published."
    note = "" if all(dot.ours for dot in block.dots) else f'<p class="note">{legend}</p>'
    ends = f'<span class="ends"><span>{low:g}</span><span>{high:g}</span></span>'
    return (
        f'<figure><figcaption>{escape(block.caption)}</figcaption><div class="dots">{rows}'
        f'<div class="dot scale"><span></span>{ends}<span></span></div></div>{note}</figure>\n'
    )


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round numbers, evenly spaced, that enclose `[low, high]`; equal figures get room around them."""
    if high - low < _EQUAL:
        low, high = low - 0.5, high + 0.5
    spread = high - low
    magnitude = 10.0 ** math.floor(math.log10(spread / about))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= spread / about)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def _curve_svg(curve: Curve) -> str:
    ticks = nice_ticks(min(curve.values), max(curve.values))
    points = [
        (_across(epoch, curve.epochs), _down(value, ticks[0], ticks[-1]))
        for epoch, value in zip(curve.epochs, curve.values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    name = escape(f"{curve.name}: {curve.shown(curve.values[0])} in epoch {curve.epochs[0]}, "
                  f"{curve.shown(curve.values[-1])} in epoch {curve.epochs[-1]}")  # fmt: skip
    return (
        f'<div class="curve"><p>{escape(curve.name)}</p><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{name}">{_grid(ticks)}{_epoch_labels(curve.epochs)}'
        f'<polyline class="line" points="{line}"/>{_marks(curve, points)}</svg></div>'
    )


def _grid(ticks: list[float]) -> str:
    lines = []
    for tick in ticks:
        y = _down(tick, ticks[0], ticks[-1])
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    return "".join(lines)


def _epoch_labels(epochs: tuple[int, ...]) -> str:
    every = -(-len(epochs) // _MAX_EPOCH_TICKS)
    at = f'y="{_HEIGHT - 6}" text-anchor="middle"'
    return "".join(
        f'<text class="tick" x="{_across(epoch, epochs):.1f}" {at}>{epoch}</text>'
        for epoch in epochs[::every]
    )


def _marks(curve: Curve, points: list[tuple[float, float]]) -> str:
    """Return a dot for each epoch, the kept one larger, and the value of the kept one and the last."""
    marks = []
    last = curve.epochs[-1]
    for epoch, value, (x, y) in zip(curve.epochs, curve.values, points, strict=True):
        kept = epoch == curve.kept
        marks.append(
            f'<circle class="{"kept" if kept else "mark"}" cx="{x:.1f}" cy="{y:.1f}" r="{5 if kept else 3}"/>'
        )
        if epoch == last:
            marks.append(f'<text class="value" x="{x + 9:.1f}" y="{y + 4:.1f}">{curve.shown(value)}</text>')
        elif kept:
            above_or_below = y - 10 if y > _TOP + 16 else y + 20
            place = f'x="{x:.1f}" y="{above_or_below:.1f}" text-anchor="middle"'
            marks.append(f'<text class="value" {place}>{curve.shown(value)}</text>')
    return "".join(marks)


def _across(epoch: int, epochs: tuple[int, ...]) -> float:
    span = epochs[-1] - epochs[0]
    share = (epoch - epochs[0]) / span if span else 0.5
    return _LEFT + 8 + share * (_WIDTH - _LEFT - _RIGHT - 16)


def _down(value: float, low: float, high: float) -> float:
    return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _range(dots: tuple[Dot, ...]) -> tuple[float, float]:
    lows = [dot.value if dot.low is None else dot.low for dot in dots]
    highs = [dot.value if dot.high is None else dot.high for dot in dots]
    ticks = nice_ticks(min(lows), max(highs))
    return max(0.0, ticks[0]), min(100.0, ticks[-1])


def _dot_row(dot: Dot, low: float, high: float) -> str:
    def at(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    whisker = ""
    if dot.low is not None and dot.high is not None:
        whisker = f'<line class="whisker" x1="{at(dot.low)}" x2="{at(dot.high)}" y1="50%" y2="50%"/>'
    kind = "ours" if dot.ours else "published"
    return (
        f'<div class="dot {kind}"><span>{escape(dot.name)}</span><svg aria-hidden="true">'
        f'<line class="grid" x1="0" x2="100%" y1="50%" y2="50%"/>{whisker}'
        f'<circle cx="{at(dot.value)}" cy="50%" r="5"/></svg><span>{dot.value:.2f}</span></div>'
    )
