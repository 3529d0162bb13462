"""A report as Markdown (with tables as GitHub has them): the same blocks as the HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import singledispatch
from itertools import chain
from pathlib import Path

from raybio.reports.blocks import (
    Block,
    Chapter,
    Chart,
    Curves,
    DotPlot,
    Examples,
    Headline,
    Mark,
    Piece,
    Report,
    Shares,
    Table,
    TaggedText,
    Verbatim,
)
from raybio.reports.contents import read_report

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
_LIST_ITEM = re.compile(r"^(\s*\d*)([-+.)])(?=\s)")


def render_markdown(runs: Sequence[Path], tagged: Sequence[Path] = ()) -> str:
    """Return what `write_report` would say about run folders and tagged outputs, as Markdown.

    Raises:
        UsageError: there is nothing to report on, or a path is not what it is given for.
        FormatError: a file in one of them cannot be read.
    """
    return markdown(read_report(runs, tagged))


def markdown(report: Report) -> str:
    """Return a report as Markdown."""
    paragraphs = [f"# {_text(report.title)}", _text(report.lead), *chain(*map(_chapter, report.chapters))]
    return "\n\n".join(paragraphs) + "\n"


def _chapter(chapter: Chapter) -> Iterable[str]:
    yield f"## {_text(chapter.heading)}"
    if chapter.facts:
        yield "\n".join(f"- {_text(name)}: {_text(value)}" for name, value in chapter.facts)
    for section in chapter.sections:
        yield f"### {_text(section.heading)}"
        yield from (_block(block) for block in section.blocks)


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(f"no Markdown for {type(block).__name__}")


@_block.register
def _(block: str) -> str:
    return _text(block)


@_block.register
def _(block: Headline) -> str:
    return "\n".join(
        f"- {_text(figure.name)}: **{_text(figure.value)}** ({_text(figure.detail)})"
        for figure in block.figures
    )


@_block.register
def _(block: Table) -> str:
    rows = [
        [f"**{_text(cell)}**" if number in block.strong else _text(cell) for cell in row]
        for number, row in enumerate(block.rows)
    ]
    notes = "".join(f"\n\n{_text(note)}" for note in block.notes)
    return f"{_text(block.caption)}:\n\n{_grid(list(map(_text, block.header)), rows, block.words)}{notes}"


@_block.register
def _(block: Curves) -> str:
    epochs = sorted(set(chain(*(curve.epochs for curve in block.curves))))
    by_epoch = [
        dict(zip(curve.epochs, map(curve.shown, curve.values), strict=True)) for curve in block.curves
    ]
    rows = [[str(epoch), *(values.get(epoch, "–") for values in by_epoch)] for epoch in epochs]
    return f"{_text(block.caption)}:\n\n" + _grid(["epoch", *(_text(c.name) for c in block.curves)], rows, 1)


@_block.register
def _(block: DotPlot) -> str:
    rows = [
        [
            _text(dot.name) if not dot.ours else f"**{_text(dot.name)}**",
            f"{dot.value:.2f}",
            "–" if dot.low is None or dot.high is None else f"{dot.low:.2f} to {dot.high:.2f}",
        ]
        for dot in block.dots
    ]
    return f"{_text(block.caption)}:\n\n" + _grid(["", "value", "interval"], rows, 1)


@_block.register
def _(block: Chart) -> str:
    rows = [
        [_text(line.name), block.x.shown(mark.x), block.y.shown(mark.y), _reach(mark, block)]
        for line in block.lines
        for mark in line.marks
    ]
    notes = "".join(f"\n\n{_text(note)}" for note in block.notes)
    header = ["", _text(block.x.name), _text(block.y.name), "interval"]
    return f"{_text(block.caption)}:\n\n" + _grid(header, rows, 1) + notes


@_block.register
def _(block: Shares) -> str:
    rows = [[_text(name), *map(block.shown, values), block.shown(sum(values))] for name, values in block.rows]
    return f"{_text(block.caption)}:\n\n" + _grid(["", *map(_text, block.parts), "together"], rows, 1)


@_block.register
def _(block: Examples) -> str:
    items = "\n".join(
        "- " + "<br>".join(f"{_text(name)}: {_pieces(pieces)}" for name, pieces in item.sides)
        for item in block.items
    )
    return f"#### {_text(block.heading)}\n\n{_text(block.explanation)}\n\n{items}"


@_block.register
def _(block: TaggedText) -> str:
    return f"#### {_text(block.heading)}\n\n{_pieces(block.pieces)}"


@_block.register
def _(block: Verbatim) -> str:
    longest = max((len(run) for run in re.findall("`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{_text(block.heading)}:\n\n{fence}text\n{block.text.rstrip()}\n{fence}"


def _reach(mark: Mark, block: Chart) -> str:
    if mark.low is None or mark.high is None:
        return "–"
    axis = block.x if mark.across else block.y
    return f"{axis.shown(mark.low)} to {axis.shown(mark.high)}"


def _grid(header: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    rule = ["---" if column < words else "---:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


def _pieces(pieces: Iterable[Piece]) -> str:
    return "".join(map(_piece, pieces)).strip()


def _piece(piece: Piece) -> str:
    if not piece.label:
        return _text(piece.text)
    verdict = f", {_text(piece.verdict)}" if piece.verdict else ""
    return f"**{_text(piece.text)}** ({_text(piece.label)}{verdict})"


def _text(text: str) -> str:
    """Return `text` so that Markdown shows it as it stands, on one line."""
    one_line = _SPECIAL.sub(r"\\\1", re.sub(r"[\r\n]+", " ", text))
    return _LIST_ITEM.sub(r"\1\\\2", one_line)
