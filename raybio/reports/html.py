"""A report as one HTML page that needs nothing but itself: no script, no font, no image, no address.

Every string of a report is text and is escaped here. The page's policy (Content-Security-Policy)
forbids loading anything, should a fault ever let markup through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from raybio.reports.blocks import (
    Chapter,
    Chart,
    Curves,
    DotPlot,
    Example,
    Examples,
    Headline,
    Piece,
    Report,
    Section,
    Shares,
    Table,
    TaggedText,
    Verbatim,
    without_quotes,
)
from raybio.reports.charts import chart_svg, shares_html
from raybio.reports.contents import read_report
from raybio.reports.markdown import markdown
from raybio.reports.plots import curves_svg, dot_plot_svg
from raybio.run_folder import RunFolder

_COLOURS = 6
_SMALL = 3  # Tables of so few columns may stand side by side.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="lead">{lead}</p>
{contents}</header>
<main>
{chapters}</main>
<footer><p>Written by raybio from run folders alone.</p></footer>
</body>
</html>
"""


def write_report(
    runs: Sequence[Path], output: Path, tagged: Sequence[Path] = (), *, quotes: bool = True
) -> Path:
    """Write a page on run folders and tagged outputs (local folders); return `output`.

    The page is HTML, or Markdown where `output` ends in `.md`; it appears only when it is complete.
    `quotes` are sentences and entities of the corpora; without them a page may go where they may not.

    Raises:
        UsageError: there is nothing to report on, or a path is not what it is given for.
        FormatError: a file in one of them cannot be read.
    """
    return write_page(read_report(runs, tagged), output, quotes=quotes)


def write_page(report: Report, output: Path, *, quotes: bool = True) -> Path:
    """Write a report as `write_report` does; return `output`."""
    said = report if quotes else without_quotes(report)
    page = markdown(said) if output.suffix == ".md" else render_html(said)
    return RunFolder(output.parent).write_text(output.name, page)


def render_html(report: Report) -> str:
    """Return the whole page."""
    return _PAGE.format(
        title=escape(report.title),
        lead=escape(report.lead),
        style=files("raybio.reports").joinpath("report.css").read_text(encoding="utf-8"),
        contents=_contents(report.chapters),
        chapters="".join(
            _Drawing(report.labels, number).chapter(chapter)
            for number, chapter in enumerate(report.chapters, start=1)
        ),
    )


def _contents(chapters: Sequence[Chapter]) -> str:
    if len(chapters) < 2:
        return ""
    items = "".join(
        f'<li><a href="#chapter-{number}">{escape(chapter.heading)}</a></li>'
        for number, chapter in enumerate(chapters, start=1)
    )
    return f'<nav aria-label="Contents"><ol>{items}</ol></nav>\n'


class _Drawing:
    """Draws chapter `number`; `labels` are the report's, in the order of their colours."""

    def __init__(self, labels: Sequence[str], number: int) -> None:
        self._number = number
        self._colours = {label: index % _COLOURS for index, label in enumerate(labels)}
        self._draw: dict[type, Callable[[Any], str]] = {
            str: lambda text: f"<p>{escape(text)}</p>\n",
            Headline: _headline,
            Table: _table,
            Curves: curves_svg,
            DotPlot: dot_plot_svg,
            Chart: chart_svg,
            Shares: shares_html,
            Examples: self._examples,
            TaggedText: self._tagged_text,
            Verbatim: _verbatim,
        }

    def chapter(self, chapter: Chapter) -> str:
        facts = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in chapter.facts
        )
        return (
            f'<article id="chapter-{self._number}">\n<h2>{escape(chapter.heading)}</h2>\n'
            + (f'<dl class="facts">{facts}</dl>\n' if facts else "")
            + "".join(map(self._section, chapter.sections))
            + "</article>\n"
        )

    def _section(self, section: Section) -> str:
        blocks = "".join(self._draw[type(block)](block) for block in section.blocks)
        return f"<section>\n<h3>{escape(section.heading)}</h3>\n{blocks}</section>\n"

    def _examples(self, block: Examples) -> str:
        items = "".join(map(self._example, block.items))
        return (
            f'<h4>{escape(block.heading)}</h4>\n<p class="note">{escape(block.explanation)}</p>\n'
            f'<ul class="examples">{items}</ul>\n'
        )

    def _example(self, item: Example) -> str:
        return "<li>" + "".join(
            f'<div><span class="side">{escape(name)}</span><p class="words">{self._pieces(pieces)}</p></div>'
            for name, pieces in item.sides
        ) + "</li>\n"  # fmt: skip

    def _tagged_text(self, block: TaggedText) -> str:
        return f'<h4>{escape(block.heading)}</h4>\n<p class="document">{self._pieces(block.pieces)}</p>\n'

    def _pieces(self, pieces: Iterable[Piece]) -> str:
        return "".join(self._piece(piece) for piece in pieces)

    def _piece(self, piece: Piece) -> str:
        if not piece.label:
            return escape(piece.text)
        verdict = f'<span class="verdict"> {escape(piece.verdict)}</span>' if piece.verdict else ""
        kind = f"c{self._colours[piece.label]}" + (" differs" if piece.verdict else "")
        return (
            f'<mark class="{kind}">{escape(piece.text)}<span class="label"> {escape(piece.label)}</span>'
            f"{verdict}</mark>"
        )


def _headline(block: Headline) -> str:
    figures = "".join(
        f'<div><dt>{escape(figure.name)}</dt><dd><span class="figure">{escape(figure.value)}</span>'
        f'<span class="detail">{escape(figure.detail)}</span></dd></div>'
        for figure in block.figures
    )
    return f'<dl class="headline">{figures}</dl>\n'


def _table(block: Table) -> str:
    header = "".join(
        f'<th scope="col"{_words_class(column, block)}>{escape(name)}</th>'
        for column, name in enumerate(block.header)
    )
    rows = "".join(_row(block, number, row) for number, row in enumerate(block.rows))
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in block.notes)
    caption = escape(block.caption)
    small = ' class="small"' if len(block.header) <= _SMALL and not block.notes else ""
    return (
        f'<figure{small}><figcaption>{caption}</figcaption><div class="box" tabindex="0" role="region" '
        f'aria-label="{caption}"><table><thead><tr>{header}</tr></thead>\n<tbody>{rows}</tbody>'
        f"</table></div>{notes}</figure>\n"
    )


def _row(block: Table, number: int, row: Sequence[str]) -> str:
    cells = "".join(_cell(block, column, cell) for column, cell in enumerate(row))
    strong = ' class="strong"' if number in block.strong else ""
    return f"<tr{strong}>{cells}</tr>\n"


def _cell(block: Table, column: int, cell: str) -> str:
    if column == 0:
        return f'<th scope="row" class="words">{escape(cell)}</th>'
    if column in block.bars and cell.replace(".", "", 1).isdigit():
        return f'<td class="bar" style="--share:{float(cell) / 100:.4f}">{cell}</td>'
    return f"<td{_words_class(column, block)}>{escape(cell)}</td>"


def _words_class(column: int, block: Table) -> str:
    return ' class="words"' if column < block.words else ""


def _verbatim(block: Verbatim) -> str:
    return f"<details><summary>{escape(block.heading)}</summary><pre>{escape(block.text)}</pre></details>\n"
