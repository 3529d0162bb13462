"""Charts with two axes, and bars of shares, as inline SVG and HTML, coloured by the page's CSS variables.

A line differs from the others by colour, dashes and the shape of its marks, so that it can be found
without colours too. The legend is text of the page and wraps where the page is narrow.
"""

from __future__ import annotations

import math
from html import escape

from raybio.reports.blocks import Axis, Chart, Line, Mark, Shares
from raybio.reports.plots import nice_ticks

_WIDTH, _HEIGHT = 460, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 26, 30, 44
_ROOM = 24
_COLOURS, _SHAPES = 6, 4
_FEW_DECADES = 2


def chart_svg(block: Chart) -> str:
    """Return the caption, the legend, the drawing and the notes."""
    scales = _Scale(block.x, block), _Scale(block.y, block)
    lines = "".join(_line(line, number, *scales) for number, line in enumerate(block.lines))
    text = "; ".join(f"{line.name}: {_marks_text(line, block)}" for line in block.lines if line.marks)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in block.notes)
    return (
        f'<figure class="chart"><figcaption>{escape(block.caption)}</figcaption>{_legend(block.lines)}'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(text)}">'
        f"{_axes(block, *scales)}{lines}</svg>{notes}</figure>\n"
    )


def shares_html(block: Shares) -> str:
    """Return a row for each name: a bar that its parts fill, and the whole."""
    legend = "".join(
        f'<li><span class="swatch s{number}"></span>{escape(part)}</li>'
        for number, part in enumerate(block.parts)
    )
    rows = "".join(_share_row(name, values, block) for name, values in block.rows)
    return (
        f'<figure><figcaption>{escape(block.caption)}</figcaption><ul class="legend">{legend}</ul>'
        f'<div class="shares">{rows}</div></figure>\n'
    )


class _Scale:
    """Where the values of one axis of a chart fall in its drawing."""

    def __init__(self, axis: Axis, block: Chart) -> None:
        across = axis is block.x
        self.axis = axis
        values = [value for line in block.lines for value in _values(line, across)]
        self.ticks = self._ticks(values)
        # Names are longer than figures, and stand under the middle of their places.
        room = _ROOM if axis.named else 0
        self._from, self._to = (_LEFT + room, _WIDTH - _RIGHT - room) if across else (_HEIGHT - _BOTTOM, _TOP)

    def at(self, value: float) -> float:
        """Return the place of a value."""
        low, high = self._position(self.ticks[0]), self._position(self.ticks[-1])
        share = (self._position(value) - low) / (high - low)
        return self._from + share * (self._to - self._from)

    def _ticks(self, values: list[float]) -> list[float]:
        if self.axis.named:
            return [place for place, _ in self.axis.named]
        if self.axis.log:
            return log_ticks(min(values), max(values))
        return nice_ticks(min(0.0, *values) if self.axis.from_zero else min(values), max(values))

    def shown(self, tick: float) -> str:
        """Return what stands at a tick."""
        return dict(self.axis.named).get(tick, f"{tick:g}")

    def _position(self, value: float) -> float:
        return math.log10(value) if self.axis.log else value


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


def _values(line: Line, across: bool) -> list[float]:
    side = 0 if across else 1
    values = [point[side] for point in line.points] + [mark.x if across else mark.y for mark in line.marks]
    for mark in line.marks:
        if mark.across is across and mark.low is not None and mark.high is not None:
            values += [mark.low, mark.high]
    return values


def _axes(block: Chart, x: _Scale, y: _Scale) -> str:
    drawn = []
    for tick in y.ticks:
        at = y.at(tick)
        drawn.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{escape(y.shown(tick))}</text>'
        )
    for tick in x.ticks:
        at = x.at(tick)
        drawn.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
            f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 17}" text-anchor="middle">'
            f"{escape(x.shown(tick))}</text>"
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return (
        "".join(drawn) + f'<text x="4" y="14">{escape(block.y.name)}</text>'
        f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(block.x.name)}</text>'
    )


def _line(line: Line, number: int, x: _Scale, y: _Scale) -> str:
    kind = f"s{number % _COLOURS} d{number % _SHAPES}" if not line.guide else "guide"
    drawn = ""
    if line.points:
        points = " ".join(f"{x.at(across):.1f},{y.at(up):.1f}" for across, up in line.points)
        drawn = f'<polyline class="series {kind}" points="{points}"/>'
    return drawn + "".join(_mark(mark, kind, number, x, y) for mark in line.marks)


def _mark(mark: Mark, kind: str, number: int, x: _Scale, y: _Scale) -> str:
    across, up = x.at(mark.x), y.at(mark.y)
    whisker = ""
    if mark.low is not None and mark.high is not None:
        scale = x if mark.across else y
        low, high = scale.at(mark.low), scale.at(mark.high)
        ends = (low, high, up, up) if mark.across else (across, across, low, high)
        whisker = '<line class="reach {}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'.format(
            kind, *ends
        )
    return f'{whisker}<path class="point {kind}" d="{_shape(number, across, up)}"/>'


def _shape(number: int, x: float, y: float, r: float = 4.5) -> str:
    """Return the outline of a disc, square, triangle or diamond around (x, y)."""
    if number % _SHAPES == 0:
        return f"M{x - r:.1f},{y:.1f}a{r},{r} 0 1 0 {2 * r},0a{r},{r} 0 1 0 {-2 * r},0z"
    if number % _SHAPES == 1:
        return f"M{x - r + 0.5:.1f},{y - r + 0.5:.1f}h{2 * r - 1}v{2 * r - 1}h{1 - 2 * r}z"
    if number % _SHAPES == 2:
        return f"M{x:.1f},{y - r - 0.5:.1f}l{r + 0.5},{2 * r}h{-2 * r - 1}z"
    return f"M{x:.1f},{y - r - 1:.1f}l{r + 1},{r + 1}l{-r - 1},{r + 1}l{-r - 1},{-r - 1}z"


def _legend(lines: tuple[Line, ...]) -> str:
    items = []
    for number, line in enumerate(lines):
        kind = f"s{number % _COLOURS} d{number % _SHAPES}" if not line.guide else "guide"
        stroke = f'<line class="series {kind}" x1="1" x2="29" y1="7" y2="7"/>' if line.points else ""
        mark = f'<path class="point {kind}" d="{_shape(number, 15, 7)}"/>' if line.marks else ""
        items.append(
            f'<li><svg viewBox="0 0 30 14" aria-hidden="true">{stroke}{mark}</svg>{escape(line.name)}</li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _marks_text(line: Line, block: Chart) -> str:
    return ", ".join(f"{block.y.shown(mark.y)} at {block.x.shown(mark.x)}" for mark in line.marks)


def _share_row(name: str, values: tuple[float, ...], block: Shares) -> str:
    whole = sum(values)
    parts = "".join(
        f'<span class="s{number}" style="width:{100 * value / whole if whole else 0:.2f}%" '
        f'title="{escape(part)}: {escape(block.shown(value))}"></span>'
        for number, (part, value) in enumerate(zip(block.parts, values, strict=True))
    )
    text = " + ".join(block.shown(value) for value in values)
    return (
        f'<div class="share"><span>{escape(name)}</span><span class="stack" role="img" '
        f'aria-label="{escape(text)}">{parts}</span><span>{escape(block.shown(whole))}</span></div>'
    )
