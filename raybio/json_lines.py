"""Files of one JSON object a line, which outlive a writer that is killed in the middle of one."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from raybio.errors import FormatError
from raybio.storage import blaming, make_folder

logger = logging.getLogger(__name__)


def append_json_line(path: Path, row: Any) -> None:
    """Append `row` to a file of one JSON object a line: in one write, on the disk when this returns.

    The half of a line that a killed writer left goes first. One process writes such a file.

    Raises:
        StorageError: it cannot be written; a line that found no room is left out when the file is read.
    """
    line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
    with blaming(str(path)):
        make_folder(path.parent)
        with path.open("ab+", buffering=0) as file:
            if torn := _last_line(file):
                if _is_json(torn):
                    line = b"\n" + line
                else:
                    file.truncate(file.seek(0, os.SEEK_END) - len(torn))
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of one JSON object a line; none where there is no file.

    Half a line at the end is what a writer left that was killed: it is left out, and a warning says so.

    Raises:
        FormatError: another line is no JSON object.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n") or _is_json(line):
                yield _json_object(path, number, line)
            else:
                logger.warning("%s: its last line was cut off, and is left out (1 line)", path)


def _json_object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        problem = f"not JSON ({error})"
    else:
        if isinstance(row, dict):
            return row
        problem = "not a JSON object"
    raise FormatError(
        str(path), f"line {number}", problem, "Fix or remove the line, and run the command again"
    )


def _last_line(file: BinaryIO | io.FileIO) -> bytes:
    """Return what stands behind the last line end of a file; nothing, where its last line is whole."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.seek(0)
            return file.read().rpartition(b"\n")[2]
    return b""


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
