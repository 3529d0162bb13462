"""Lines of UTF-8, one at a time: a line that cannot be read says so itself, and those after it are read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, NamedTuple

from raybio.corpora.limits import KEPT, too_large
from raybio.corpora.opening import not_utf8, without_ending
from raybio.entities import Rejected

_CHUNK = 64 * 1024
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its ending, its number from 1, and its bytes.

    `fault` is the rejected record for a line that is not UTF-8 (`text` then has `\\xE9` for such a
    byte) or too large (`text` then is its beginning), and None for any other.
    """

    number: int
    text: str
    size: int
    fault: Rejected | None = None


def scan_lines(stream: BinaryIO, source: str, max_bytes: int) -> Iterator[Line]:
    r"""Yield the lines of `stream`, which "\n" or "\r\n" end, in memory of one line of `max_bytes`.

    A byte order mark before line 1 is left out.

    Raises:
        InputError: the stream itself cannot be read on.
    """
    number = offset = 0
    readline = stream.readline
    while raw := readline(max_bytes + 1):
        number += 1
        size = len(raw)
        if size > max_bytes and raw[-1] != 0x0A:
            size += sum(map(len, _rest(stream)))
            fault = too_large(source, f"line {number}", "the line", max_bytes, raw[:KEPT])
            yield Line(number, fault.raw, size, fault)
        else:
            skipped = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
            content = raw[skipped:] if skipped else raw
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError as error:
                problem = not_utf8(source, number, error, offset + skipped)
                text = without_ending(content.decode("utf-8", "backslashreplace"))
                fault = Rejected(source, problem.place, problem.problem, problem.remedy, raw=text)
                yield Line(number, text, size, fault)
            else:
                yield Line(number, without_ending(text), size)
        offset += size


def _rest(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a line, piece by piece."""
    for piece in iter(partial(stream.readline, _CHUNK), b""):
        yield piece
        if piece.endswith(b"\n"):
            return
