"""What a report is made of, before anyone decides how it looks.

A Report has Chapters (one for each run or tagged output), a Chapter has Sections, a Section has
Blocks. `html` and `markdown` draw the same blocks, so that they cannot say different things.
All strings are plain text; whoever draws them escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass
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

    `bars` are columns of percentages that may be drawn as bars; `strong` are rows that stand out.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    words: int = 1
    bars: frozenset[int] = frozenset()
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure by epoch; `kept` is the epoch to mark, or None."""

    name: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    kept: int | None = None

    @staticmethod
    def told(value: float) -> str:
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
class Piece:
    """A run of text; with a `label` it is an entity, and `verdict` says what is wrong with it."""

    text: str
    label: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One sentence, or the part of it around an error, as annotated and as predicted."""

    gold: tuple[Piece, ...]
    predicted: tuple[Piece, ...]


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


Block: TypeAlias = "str | Headline | Table | Curves | DotPlot | Examples | TaggedText | Verbatim"
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
    """The whole; `labels` are the entity labels that occur, in the order of their colours."""

    title: str
    lead: str
    chapters: tuple[Chapter, ...]
    labels: tuple[str, ...]
