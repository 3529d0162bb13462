"""Lines of UTF-8, one at a time: a line that cannot be read says so itself, and those after it are read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from io import BytesIO
from itertools import chain
from typing import BinaryIO, NamedTuple

from raybio.corpora.limits import KEPT, MAX_RECORD_BYTES, too_large
from raybio.corpora.opening import not_utf8, without_ending
from raybio.entities import Rejected
from raybio.errors import FormatError

LONGEST_LINE = MAX_RECORD_BYTES
"""Bytes of the longest line read; a longer one is almost surely not a line of text."""

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
    offset = 0
    for number, raw in enumerate(raw_lines(stream, max_bytes + 1), start=1):
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


def read_lines(stream: BinaryIO, source: str) -> Iterator[tuple[int, str]]:
    r"""Yield (line number from 1, line without its ending) of strict UTF-8 text.

    Only "\n" and "\r\n" end a line (see `raw_lines`): `str.splitlines` would also cut at U+2028, U+0085 and
    others, which real abstracts hold. A byte order mark before line 1 is left out.

    Raises:
        FormatError: a byte is not UTF-8, or a line is longer than `LONGEST_LINE`.
    """
    offset = 0
    for number, raw in enumerate(raw_lines(stream, LONGEST_LINE + 1), start=1):
        if len(raw) > LONGEST_LINE:
            problem = f"the line is longer than {LONGEST_LINE} bytes"
            remedy = "Check that this is a text file of the format named"
            raise FormatError(source, f"line {number}", problem, remedy)
        skipped = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
        try:
            line = raw[skipped:].decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(source, number, error, offset + skipped) from error
        yield number, without_ending(line)
        offset += len(raw)


def raw_lines(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    r"""Yield the lines of `stream`, in pieces of at most `limit` bytes.

    Where a file has no "\n" its lines end with "\r", as on old Macs; they are given with "\n" in its place.
    """
    first = stream.readline(limit)
    if b"\r" in first and not first.endswith(b"\n") and len(first) < limit:
        stream = BytesIO(first.replace(b"\r", b"\n"))
        first = stream.readline(limit)
    return chain([first] if first else [], iter(partial(stream.readline, limit), b""))


def _rest(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a line, piece by piece."""
    for piece in iter(partial(stream.readline, _CHUNK), b""):
        yield piece
        if piece.endswith(b"\n"):
            return
