"""Bytes in and out: local paths and URLs, gzip, strict UTF-8 lines, writes that land whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from raybio.corpora.limits import MAX_RECORD_BYTES
from raybio.errors import AccessError, FormatError, UsageError
from raybio.safe_text import without_secrets
from raybio.special_files import special_kind

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

LONGEST_LINE = MAX_RECORD_BYTES
"""Bytes of the longest line read; a longer one is almost surely not a line of text."""

_BOM = b"\xef\xbb\xbf"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PYARROW_SCHEMES = {"s3", "gs", "gcs", "hdfs", "abfs", "abfss", "file"}
_SPOOL = 64 * 1024 * 1024


def is_url(path: str) -> bool:
    """Say whether `path` names a file system of its own (`s3://...`) and not a local path."""
    return _URL.match(path) is not None


def filesystem_of(url: str) -> tuple[FileSystem, str]:
    """Return the file system that `url` names and the path in it.

    pyarrow brings S3, Google Cloud, Azure and HDFS; every other scheme is looked up in fsspec.

    Raises:
        AccessError: neither knows the scheme, or it cannot be reached.
    """
    # Imported here: reading a local text file should not load pyarrow.
    import fsspec
    from pyarrow import fs

    scheme = url.partition("://")[0].lower()
    try:
        if scheme in _PYARROW_SCHEMES:
            known: tuple[FileSystem, str] = fs.FileSystem.from_uri(url)
            return known
        remote, path = fsspec.core.url_to_fs(url)
    except (OSError, ValueError, ImportError) as error:
        raise AccessError(url, "", f"cannot open this location ({error})", "Check the URL") from error
    return fs.PyFileSystem(fs.FSSpecHandler(remote)), path


@contextmanager
def open_bytes(path: str) -> Iterator[BinaryIO]:
    """Open a local path or URL for reading; what ends in `.gz` is unpacked on the way.

    Raises:
        AccessError: there is no such file, it is a FIFO, socket or device, or it cannot be opened.
        FormatError: while reading, when gzip data are broken or end early.
    """
    refuse_special(path)
    try:
        packed = _open_remote(path) if is_url(path) else Path(path).open("rb")  # noqa: SIM115
    except (OSError, ValueError) as error:
        problem = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise AccessError(path, "", f"cannot be opened ({problem})", "Check the path") from error
    with packed:
        if path.lower().endswith(".gz"):
            yield cast(BinaryIO, io.BufferedReader(_Gunzip(packed, path)))
        else:
            yield packed


def refuse_special(path: str) -> None:
    """Refuse what is no regular file, before it is opened: one would wait for ever, or never end.

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

    Locally (`file://` is local too) the bytes go to a hidden name beside `path`, which is renamed at
    the end; to a URL they go in one upload at the end. What ends in `.gz` is packed, with no time stamp,
    so that the same documents give the same bytes.

    Raises:
        UsageError: the file cannot be created, or not be uploaded.
    """
    local = path.removeprefix("file://")
    with _upload(path) if is_url(local) else _replace(Path(local)) as stream:
        if path.lower().endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            yield stream


def read_lines(stream: BinaryIO, source: str) -> Iterator[tuple[int, str]]:
    r"""Yield (line number from 1, line without its ending) of strict UTF-8 text.

    Only "\n" and "\r\n" end a line: `str.splitlines` would also cut at U+2028, U+0085 and
    others, which real abstracts hold. A byte order mark before line 1 is left out.

    Raises:
        FormatError: a byte is not UTF-8, or a line is longer than `LONGEST_LINE`.
    """
    offset = 0
    number = 0
    while raw := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(raw) > LONGEST_LINE:
            raise FormatError(
                source,
                f"line {number}",
                f"the line is longer than {LONGEST_LINE} bytes",
                "Check that this is a text file of the format named",
            )
        yield number, _decode(raw, source, number, offset)
        offset += len(raw)


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


def _decode(raw: bytes, source: str, number: int, offset: int) -> str:
    skipped = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
    try:
        line = raw[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(source, number, error, offset + skipped) from error
    return without_ending(line)


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


def _open_remote(url: str) -> BinaryIO:
    filesystem, path = filesystem_of(url)
    # compression=None: pyarrow would otherwise unpack ".gz" itself, with errors that name no offset.
    return cast(BinaryIO, io.BufferedReader(filesystem.open_input_stream(path, compression=None)))


@contextmanager
def _replace(target: Path) -> Iterator[BinaryIO]:
    if target.exists() and not target.is_file():
        # A pipe or terminal cannot be renamed over.
        with _created(target, target, "wb") as stream:
            yield stream
        return
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    stream = _created(partial, target, "xb")
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
        _sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the names in `folder` outlive a loss of power, too: what is written next may rely on them."""
    if os.name != "posix":  # others cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _created(path: Path, target: Path, mode: Literal["wb", "xb"]) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open(mode)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written ({error.strerror}). Check the path") from error


@contextmanager
def _upload(url: str) -> Iterator[BinaryIO]:
    # Closing an object store's stream publishes what it holds, so it is opened only when all is ready.
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
        yield cast(BinaryIO, spool)
        spool.seek(0)
        filesystem, path = filesystem_of(url)
        try:
            with filesystem.open_output_stream(path, compression=None) as target:
                shutil.copyfileobj(spool, target)
        except (OSError, ValueError, NotImplementedError) as error:
            # Of a kind that takes no writes, as http, fsspec says just NotImplementedError.
            reason = str(error) or "this kind of place takes no writes"
            raise UsageError(f"{url}: cannot be written ({reason}). Check the URL") from error


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
