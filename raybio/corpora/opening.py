"""Bytes in and out of local paths and URLs (see `storage`): gzip, and UTF-16 as UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from raybio.corpora.sniffing import LOOKED_AT, utf16_of_text
from raybio.errors import AccessError, FormatError
from raybio.filesystems import filesystem_of, is_url
from raybio.safe_text import without_secrets
from raybio.special_files import special_kind
from raybio.storage import reason_of, write_whole

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_CHUNK = 64 * 1024
_BLOCK_BYTES = 8 * 1024 * 1024  # read ahead of a remote file
_SPOOL = 64 * 1024 * 1024  # of a copy in memory; a larger one lies on the disk


@contextmanager
def open_bytes(path: str) -> Iterator[BinaryIO]:
    """Open a local path or URL for reading, unpacked if it is gzip or ends in `.gz`.

    Text in UTF-16 is given as UTF-8.

    Raises:
        AccessError: there is no such file, it is a FIFO, socket or device, or it cannot be opened.
        FormatError: while reading, when gzip data are broken or end early.
    """
    refuse_special(path)
    try:
        packed = open_remote(path) if is_url(path) else Path(path).open("rb")  # noqa: SIM115
    except (OSError, ValueError) as error:
        problem = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise AccessError(path, "", f"cannot be opened ({problem})", "Check the path") from error
    with packed:
        stream = packed
        if path.lower().endswith(".gz") or _beginning(packed, len(_GZIP)) == _GZIP:
            stream = cast(BinaryIO, io.BufferedReader(_Gunzip(packed, path)))
        if encoding := utf16_of_text(_beginning(stream, LOOKED_AT)):
            with _as_utf8(stream, path, encoding) as copy:
                yield copy
        else:
            yield stream


def _beginning(stream: BinaryIO, size: int) -> bytes:
    """Return the first bytes of a stream, or fewer, that are still to be read."""
    try:
        return cast(io.BufferedReader, stream).peek(size)[:size]
    except FormatError:  # raised again by whoever reads
        return b""


@contextmanager
def _as_utf8(stream: BinaryIO, source: str, encoding: str) -> Iterator[BinaryIO]:
    """Give a copy, in UTF-8, of a stream of UTF-16."""
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as copy:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for chunk in chain(iter(partial(stream.read, _CHUNK), b""), [b""]):
                copy.write(decoder.decode(chunk, final=not chunk).encode())
        except UnicodeError as error:
            problem = f"the text, which begins as UTF-16, cannot be decoded ({error})"
            raise FormatError(source, "", problem, "Write it again, in UTF-8") from error
        copy.seek(0)
        yield cast(BinaryIO, copy)


def refuse_special(path: str) -> None:
    """Refuse what is no regular file, before it is opened: one would wait forever, or never end.

    Raises:
        AccessError: says what `path` is.
    """
    local = path.removeprefix("file://")
    if not is_url(local) and (kind := special_kind(local)):
        problem = f"is {kind}, not a file"
        raise AccessError(path, "", problem, "Copy what it gives into a file, and name that one")


@contextmanager
def read_twice(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Give what `stream` has as a stream that can go back to its start: a copy, if it cannot itself."""
    if stream.seekable():
        yield stream
        return
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield cast(BinaryIO, copy)


@contextmanager
def write_bytes(path: str) -> Iterator[BinaryIO]:
    """Open a local path or URL for writing; nothing is there until the block ends well.

    What ends in `.gz` is packed, with no time stamp, so that the same documents give the same bytes.

    Raises:
        StorageError: the file cannot be written.
    """
    with write_whole(path) as stream:
        if path.lower().endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            yield stream


def read_whole(stream: BinaryIO, max_bytes: int) -> bytes | None:
    """Return all that is left of `stream`, or None where that is more than `max_bytes`."""
    raw = stream.read(max_bytes + 1)
    return raw if len(raw) <= max_bytes else None


def decoded(raw: bytes, source: str) -> str:
    """Return strict UTF-8 as text, line endings untouched, without a byte order mark.

    Raises:
        FormatError: a byte is not UTF-8.
    """
    try:
        return raw.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        skipped = len(_BOM) if raw.startswith(_BOM) else 0
        line = error.object.count(b"\n", 0, error.start) + 1
        raise not_utf8(source, line, error, skipped) from error


def stem_of(source: str) -> str:
    """Return the file name in `source` without folder, `.gz` and one more suffix: "train.rebuilt"."""
    name = re.split(r"[/\\]", without_secrets(source) if is_url(source) else source)[-1].removesuffix(".gz")
    return name.rpartition(".")[0] or name


def no_records(source: str, expected: str) -> FormatError:
    """Return the error for a file that holds not one record, such as an empty one."""
    return FormatError(source, "", f"the file holds no {expected}", "Check that it was written to its end")


def without_ending(line: str) -> str:
    r"""Return `line` without the "\n" or "\r\n" that ends it."""
    if line.endswith("\n"):
        return line[:-2] if line.endswith("\r\n") else line[:-1]
    return line


def not_utf8(source: str, line: int, error: UnicodeDecodeError, offset: int) -> FormatError:
    """Return the error for bytes of `source` that are not UTF-8; they begin at byte `offset` of it."""
    byte = error.object[error.start]
    return FormatError(
        source,
        f"line {line}, byte {offset + error.start}",
        f"byte 0x{byte:02X} is not UTF-8",
        "Convert the file to UTF-8, for example with iconv -f LATIN1 -t UTF-8",
    )


def open_remote(url: str) -> BinaryIO:
    """Open a URL for reading, from any place in it where its file system can.

    Raises:
        OSError: it cannot be opened; so does reading, where it breaks off.
        UsageError: no file system of that name is known, or its package is not installed.
    """
    filesystem, path = filesystem_of(url)
    with _os_errors():
        file = filesystem.open(path, "rb", block_size=_BLOCK_BYTES)
    return cast(BinaryIO, io.BufferedReader(_Remote(file)))


@contextmanager
def _os_errors() -> Iterator[None]:
    """Make an OSError of what the package of a file system raises of its own (aiohttp, botocore)."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # none of these packages is a dependency, so that none can be named
        raise OSError(reason_of(error)) from error


class _Remote(io.RawIOBase):
    """A file of another place."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with _os_errors():
            piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Gunzip(io.RawIOBase):
    """Unpacked bytes of a gzip stream; broken data raise FormatError with the offset reached."""

    def __init__(self, packed: BinaryIO, source: str) -> None:
        self._unpacked = gzip.GzipFile(fileobj=packed, mode="rb")
        self._packed = packed
        self._source = source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._packed.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._unpacked.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            piece = self._unpacked.read1(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FormatError(
                self._source,
                f"byte {self._unpacked.tell()} of the unpacked data",
                f"the gzip data are broken or end early ({error})",
                "Fetch the file again and compare its checksum",
            ) from error
        buffer[: len(piece)] = piece
        return len(piece)
