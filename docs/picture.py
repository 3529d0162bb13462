"""The picture of F1 against cost in README.md: the report's own charts, from a committed report, as SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from result_tables import REPORTS, ROOT, served_rows

from raybio.reports.blocks import Axis, Chart, Line, Mark
from raybio.reports.drawings import DrawnChart, draw_chart

SOURCE = REPORTS / "small-2026-11-28.md"
_CSS = ROOT / "raybio" / "reports" / "templates" / "report.css"
_WIDTH, _HEIGHT, _TOP = 460, 290, 40
_STYLE = """
svg {{ background: {page}; }} text {{ fill: {quiet}; font: 13px system-ui, sans-serif; }}
.title {{ fill: {text}; font-weight: 600; font-size: 14px; }} .grid {{ stroke: {rule}; }}
.point {{ stroke: {page}; }} .reach {{ stroke-width: 5; stroke-linecap: round; opacity: .35; }}
"""


def pictures() -> dict[Path, str]:
    """Return the picture for a light page and for a dark one, by the file that holds it."""
    light, dark = (
        _colours(block) for block in re.findall(r":root \{(.*?)\}", _CSS.read_text("utf-8"), re.S)[:2]
    )
    return {
        SOURCE.with_name(f"{SOURCE.stem}-{name}.svg"): _svg(_charts(SOURCE), light | colours)
        for name, colours in (("light", light), ("dark", dark))
    }


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#\w+)", block))


def _charts(report: Path) -> Iterator[tuple[str, DrawnChart]]:
    """Yield a chart for each corpus: each has its own axes."""
    rows = list(served_rows(report))
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        lines = (
            Line(row["model"], marks=(_mark(row["1M abstracts"], row["F1"], row["interval"]),))
            for row in rows
            if row["corpus"] == corpus
        )
        dollars = Axis("dollars for a million abstracts", log=True)
        f1 = Axis("strict F1 on test, percent, 95 % interval")
        yield corpus, draw_chart(Chart(corpus, dollars, f1, tuple(lines)))


def _mark(dollars: str, f1: str, interval: str) -> Mark:
    low, high = map(float, interval.split(" to "))
    return Mark(float(dollars.strip("$").replace(",", "")), float(f1), low, high)


def _svg(charts: Iterator[tuple[str, DrawnChart]], colours: dict[str, str]) -> str:
    drawn = list(charts)
    panels = (
        f'<g transform="translate({_WIDTH * (number % 2)} {_TOP + _HEIGHT * (number // 2)})">'
        f"{''.join(_panel(corpus, chart, colours))}</g>"
        for number, (corpus, chart) in enumerate(drawn)
    )
    height = _TOP + _HEIGHT * -(-len(drawn) // 2)
    words = "; ".join(f"{corpus}: {chart.in_words}" for corpus, chart in drawn)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH} {height}" role="img">',
            f"<title>{escape(words)}</title><style>{_STYLE.format(**colours)}</style>",
            *_legend(drawn[0][1], colours),
            *panels,
            "</svg>\n",
        ]
    )


def _legend(chart: DrawnChart, colours: dict[str, str]) -> Iterator[str]:
    for number, line in enumerate(chart.lines):
        yield (
            f'<g transform="translate({50 + 200 * number} 14)">'
            f'<path class="point" fill="{colours[f"s{number}"]}" d="{line.in_legend}"/>'
            f'<text x="34" y="12">{escape(line.name)}</text></g>'
        )


def _panel(corpus: str, chart: DrawnChart, colours: dict[str, str]) -> Iterator[str]:
    frame = chart.frame
    right, bottom = frame.width - frame.right, frame.height - frame.bottom
    for at, tick in chart.y_ticks:
        yield f'<path class="grid" d="M{frame.left},{at:.1f}H{right}"/>'
        yield f'<text x="{frame.left - 7}" y="{at + 4:.1f}" text-anchor="end">{tick}</text>'
    for at, tick in chart.x_ticks:
        yield f'<path class="grid" d="M{at:.1f},{frame.top}V{bottom}"/>'
        yield f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{tick}</text>'
    yield f'<text class="title" x="4" y="14">{escape(corpus)}</text>'
    yield f'<text x="{right}" y="14" text-anchor="end">strict F1 on test, percent, 95 % interval</text>'
    yield (
        f'<text x="{(frame.left + right) / 2:.0f}" y="{frame.height - 6}" text-anchor="middle">'
        "dollars for a million abstracts</text>"
    )
    yield from _marks(chart, [colours[f"s{number}"] for number in range(len(chart.lines))])


def _marks(chart: DrawnChart, colours: Sequence[str]) -> Iterator[str]:
    for line, colour in zip(chart.lines, colours, strict=True):
        for mark in line.marks:
            if mark.whisker:
                x1, x2, y1, y2 = mark.whisker
                yield f'<path class="reach" stroke="{colour}" d="M{x1:.1f},{y1:.1f}L{x2:.1f},{y2:.1f}"/>'
            yield f'<path class="point" fill="{colour}" d="{mark.outline}"/>'
