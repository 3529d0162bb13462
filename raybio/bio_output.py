"""A completion's text -> one tag for each of the sentence's words, and what could not be mapped.

Lines are matched to words by alignment (the longest common subsequence of their words), never
by position alone: a line that is dropped, repeated or changed harms the words it concerns and
no others. Nothing is lost silently: what cannot be mapped is malformed, with a named reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal, TypeAlias

from raybio.iob2 import OUTSIDE
from raybio.prompts import Prompts, shown

Reason: TypeAlias = Literal["no tag", "unknown tag", "extra word", "missing word", "changed word", "no end"]
"""Why a line or a word could not be mapped; "no end" is a last line cut off before its newline."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line of a completion that gives no word its tag, or words that no line was written for.

    `line_number` (1-based) and `written` are the line's, None and "" where there is none.
    `words` are the positions that are predicted "O" because of it; no two of them overlap.
    """

    reason: Reason
    line_number: int | None
    written: str
    words: range


@dataclass(frozen=True, slots=True)
class Completion:
    """What a completion says: a tag for each word, and what was malformed, in reading order."""

    tags: list[str]
    malformed: list[Malformed]


@dataclass(frozen=True, slots=True)
class _Line:
    """One line as written; without a tag it has the reason why."""

    number: int
    written: str
    word: str
    tag: str | None
    fault: Reason | None = None


def read_completion(text: str, words: Sequence[str], prompts: Prompts) -> Completion:
    """Return the tag that `text` gives to each of `words`, and everything in it that gives none.

    There are always as many tags as words; a word without a readable line of its own is "O".
    White space around a word or a tag means nothing.
    """
    expected = [shown(word) for word in words]
    lines = _lines(text, set(expected), prompts)
    tags = [OUTSIDE] * len(expected)
    malformed: list[Malformed] = []
    line_start = word_start = 0
    for line, word in _alignment([line.word for line in lines], expected):
        malformed += _gap(lines[line_start:line], range(word_start, word))
        line_start, word_start = line + 1, word + 1
        if tag := lines[line].tag:
            tags[word] = tag
        else:
            malformed.append(_malformed(lines[line], range(word, word + 1)))
    malformed += _gap(lines[line_start:], range(word_start, len(expected)))
    return Completion(tags, malformed)


def _lines(text: str, words: Collection[str], prompts: Prompts) -> list[_Line]:
    *whole, rest = text.split("\n")
    lines = [_line(number, written, words, prompts) for number, written in enumerate(whole, start=1)]
    if rest:
        cut_off = _line(len(whole) + 1, rest, words, prompts)
        lines.append(replace(cut_off, tag=None, fault="no end"))
    return lines


def _line(number: int, written: str, words: Collection[str], prompts: Prompts) -> _Line:
    word, colon, tag = (part.strip() for part in written.rpartition(":"))
    if known := prompts.tag_of(tag):
        return _Line(number, written, word, known)
    if not colon or written.strip() in words:
        return _Line(number, written, written.strip(), None, "no tag")
    return _Line(number, written, word, None, "unknown tag")


def _gap(lines: Sequence[_Line], words: range) -> Iterator[Malformed]:
    """Yield what lies between two matches: lines that are no word here, words that have no line.

    They are paired in order, as words that the model changed, as far as there are pairs.
    """
    for i, line in enumerate(lines):
        yield _malformed(line, words[i : i + 1])
    if left := words[len(lines) :]:
        yield Malformed("missing word", None, "", left)


def _malformed(line: _Line, words: range) -> Malformed:
    reason = line.fault or ("changed word" if words else "extra word")
    return Malformed(reason, line.number, line.written, words)


def _alignment(written: Sequence[str], expected: Sequence[str]) -> list[tuple[int, int]]:
    """Return a longest common subsequence as pairs of positions, the same beginning and end first.

    Almost every completion is all beginning; what is left in the middle costs its two lengths
    multiplied.
    """
    head = _common(written, expected)
    tail = _common(written[head:][::-1], expected[head:][::-1])
    ends = len(written) - tail, len(expected) - tail
    middle = _longest_common(written[head : ends[0]], expected[head : ends[1]])
    return [
        *((i, i) for i in range(head)),
        *((head + i, head + j) for i, j in middle),
        *((ends[0] + i, ends[1] + i) for i in range(tail)),
    ]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many items two sequences have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _longest_common(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of a longest common subsequence, by the textbook's table of suffix lengths."""
    lengths = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in reversed(range(len(one))):
        for j in reversed(range(len(other))):
            lengths[i][j] = (
                lengths[i + 1][j + 1] + 1 if one[i] == other[j] else max(lengths[i + 1][j], lengths[i][j + 1])
            )
    i = j = 0
    while i < len(one) and j < len(other):
        if one[i] == other[j]:
            yield i, j
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
