"""How large one record may be, for every reader: a small file must not cost gigabytes of memory.

The size of a record is its bytes, and `PART_BYTES` more for each of its parts (a JSON value, an XML
element, a line, a paragraph): each part becomes an object in memory, however few bytes it has in the file.
"""

from __future__ import annotations

import reprlib

from raybio.entities import Rejected
from raybio.errors import FormatError

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""The size of the largest record read, unless a reader is given another one as `max_record_bytes`."""

PART_BYTES = 16
"""What a part of a record counts besides its bytes."""

KEPT = 1_000
"""Characters kept of a record that is too large, and bytes by which its reader can be found in it."""

_REMEDY = "If it is one record, raise max_record_bytes; each of its bytes takes up to some 16 in memory"
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200


def too_large(
    source: str, place: str, what: str, max_record_bytes: int, beginning: bytes | str, document_id: str = ""
) -> Rejected:
    """Return the rejected record for `what` ("the line"), of which only the `beginning` is kept."""
    raw = beginning if isinstance(beginning, str) else beginning[:KEPT].decode("utf-8", "backslashreplace")
    problem = too_large_problem(what, max_record_bytes)
    return Rejected(source, place, problem, _REMEDY, document_id, raw[:KEPT])


def too_large_error(source: str, place: str, what: str, max_record_bytes: int) -> FormatError:
    """Return the error for `what`, after which the file cannot be read on."""
    return FormatError(source, place, too_large_problem(what, max_record_bytes), _REMEDY)


def too_large_problem(what: str, max_record_bytes: int) -> str:
    """Return, in one clause, that `what` is larger than a record may be."""
    return f"{what} is larger than max_record_bytes={max_record_bytes:,}"


def shown(value: object) -> str:
    """Return `value` as an error message quotes it: its repr, without its middle where it is long or deep."""
    return _SHORT.repr(value)
