"""What a report is made of, before anyone decides how it looks.

A Report has Chapters (one for each run or tagged output), a Chapter has Sections, a Section has
Blocks. `html` and `markdown` draw the same blocks, so that they cannot say different things.
All strings are plain text; whoever draws them escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Figure:
    """One headline figure: what it is, its value, and a line to read it by."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class Headline:
    """The figures that answer the reader's first question, most important first."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first `words` columns hold words, the others figures.

    `bars` are columns of percentages that may be drawn as bars; `strong` are rows that stand out;
    `quotes` says that cells hold words of a corpus.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    words: int = 1
    bars: frozenset[int] = frozenset()
    strong: frozenset[int] = frozenset()
    quotes: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure by epoch; `kept` is the epoch to mark, or None."""

    name: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    kept: int | None = None

    @staticmethod
    def shown(value: float) -> str:
        """Return a value as it is written: two decimals, or three digits below 1."""
        return f"{value:.2f}" if value >= 1 else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of one training run, each with its own scale."""

    caption: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Dot:
    """One row of a dot plot, in percent; `ours` tells this report's runs from published ones."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    ours: bool = True


@dataclass(frozen=True, slots=True)
class DotPlot:
    """Dots on one scale, in the order to draw them."""

    caption: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a chart; `log` for figures above 0 of several magnitudes, `from_zero` to begin there.

    `named` are the only places with a name, in rising order, where figures between them mean nothing.
    """

    name: str
    log: bool = False
    from_zero: bool = False
    named: tuple[tuple[float, str], ...] = ()

    def shown(self, value: float) -> str:
        """Return a value as it is written: its name, or four digits that count."""
        if value in dict(self.named):
            return dict(self.named)[value]
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A figure of a chart, with its interval along the y axis, or `across` along the x axis."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    across: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line through `points` (x, y), and the figures marked on it; a `guide` is there to compare with."""

    name: str
    points: tuple[tuple[float, float], ...] = ()
    marks: tuple[Mark, ...] = ()
    guide: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines and figures on two axes; where nothing can be drawn, their figures are a table."""

    caption: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """For each name, the seconds of the parts of a whole, in the order of `parts`."""

    caption: str
    parts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]

    @staticmethod
    def shown(seconds: float) -> str:
        """Return seconds as they are written: milliseconds below 1 s."""
        return f"{seconds:,.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text; with a `label` it is an entity, and `verdict` says what is wrong with it."""

    text: str
    label: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One sentence, or the part of it around an error: `sides` are (who says so, what), gold first."""

    sides: tuple[tuple[str, tuple[Piece, ...]], ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples of one kind of error."""

    heading: str
    explanation: str
    items: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class TaggedText:
    """A document with its mentions in place."""

    heading: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Text to be shown as it stands, folded away where that is possible."""

    heading: str
    text: str


Block: TypeAlias = (
    "str | Headline | Table | Curves | DotPlot | Chart | Shares | Examples | TaggedText | Verbatim"
)
"""What a Section holds; a plain `str` is a paragraph."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One run, one tagged output, or a comparison: `facts` are (name, value)."""

    heading: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole."""

    title: str
    lead: str
    chapters: tuple[Chapter, ...]

    @property
    def labels(self) -> list[str]:
        """The entity labels that are shown, in the order of their colours."""
        blocks = [block for chapter in self.chapters for each in chapter.sections for block in each.blocks]
        shown = [block.pieces for block in blocks if isinstance(block, TaggedText)]
        examples = [item for block in blocks if isinstance(block, Examples) for item in block.items]
        shown += [pieces for item in examples for _, pieces in item.sides]
        return sorted({piece.label for pieces in shown for piece in pieces if piece.label})


def without_quotes(report: Report) -> Report:
    """Return the report without the words of the corpora, for those who may not pass these on."""

    def unquoted(section: Section) -> Section:
        kept = (
            block
            for block in section.blocks
            if not isinstance(block, Examples | TaggedText)
            and not (isinstance(block, Table) and block.quotes)
        )
        return replace(section, blocks=tuple(kept))

    chapters = (
        replace(chapter, sections=tuple(each for each in map(unquoted, chapter.sections) if each.blocks))
        for chapter in report.chapters
    )
    return replace(report, chapters=tuple(chapters))
