"""Input files -> shards: fixed ranges of records, the unit of work and of commit.

A shard holds the next `size` records of a file in the file's own order, and fewer only where their
text is very long; so its name, and with it the names of its output files, depends on nothing but the
input.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from raybio.corpora import TABLES, format_named, format_of, input_format
from raybio.corpora.limits import MAX_RECORD_BYTES
from raybio.corpora.opening import refuse_special, stem_of
from raybio.corpora.table import Columns
from raybio.entities import Deletion, Document, Record, Rejected, Sentence
from raybio.errors import AccessError, ColumnsError, FormatError, InputError, UsageError
from raybio.safe_text import without_secrets
from raybio.special_files import special_kind
from raybio.storage import filesystem_of, is_url, url_of

logger = logging.getLogger(__name__)

_FINGERPRINT_BYTES = 65_536
_OPEN_FILES = 16
_MAX_CHARACTERS = 32_000_000
"""After which a shard is full, however few its records: twenty times what a thousand abstracts have,
and with all its words some 600 MB of memory. Where shards end is what a resumed run relies on."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to tag: `key` names its outputs, `fingerprint` changes with its content.

    `path` opens it; `source` is what is written of it; `columns` says which of a table's are read;
    `size` is in bytes, None where its place does not tell.
    """

    path: str
    key: str
    format: str
    fingerprint: str
    columns: Columns | None = None
    size: int | None = None

    @property
    def source(self) -> str:
        """The path without the credentials that a URL may hold: the same with each of them."""
        return without_secrets(self.path) if is_url(self.path) else self.path


@dataclass(frozen=True, slots=True)
class Shard:
    """The records of one range of one file; `cut` has the documents' sentences, where that is done."""

    file: InputFile
    number: int
    documents: tuple[Document, ...]
    rejected: tuple[Rejected, ...]
    deletions: tuple[Deletion, ...]
    cut: tuple[tuple[Sentence, ...] | None, ...] = ()

    @property
    def name(self) -> str:
        """The shard's name, and the stem of its output files."""
        return f"{self.file.key}-{self.number:05d}"


@dataclass(frozen=True, slots=True)
class Unread:
    """Says that a file was not read to its end for a reason that may pass: the next run reads it again."""

    key: str
    error: AccessError


@dataclass(frozen=True, slots=True)
class EndOfFile:
    """Says that a file was read to its end, or to what ended it early, and how many shards it has."""

    key: str
    shards: int
    error: InputError | None = None

    @property
    def broken(self) -> bool:
        """Whether the file could not be read to its end; `error` says why."""
        return self.error is not None


Inside: TypeAlias = Callable[[AbstractFileSystem, str], bool]


def find_inputs(
    patterns: Iterable[str],
    format: str | None = None,
    output: str | None = None,
    columns: Columns | None = None,
) -> list[InputFile]:
    """Return the files that `patterns` (paths, globs, folders, URLs) name, sorted by key.

    In a folder, files whose name tells no readable format are passed over (`.md5` files, say), and
    hidden ones. What lies in the folder `output` is left out, however it is named: the input of a run
    whose output is in the same folder is the same when it is resumed. `columns` are those of the tables.

    Raises:
        UsageError: a pattern names nothing, only what lies in `output`, a hidden file (an output hides
            such names), or two files that would share a key; or columns are named of what is no table.
        AccessError: what it names cannot be reached, or is a FIFO, a socket or a device.
    """
    found: dict[str, InputFile] = {}
    inside = _inside(output)
    for pattern in patterns:
        for file in _matches(pattern, format, inside, columns):
            other = found.setdefault(file.key, file)
            if other.path != file.path:
                raise UsageError(
                    f"{other.path} and {file.path} would both be called {file.key} in the output. "
                    "Rename one, or tag them into two output folders"
                )
    return [found[key] for key in sorted(found)]


def check_columns(files: Iterable[InputFile]) -> None:
    """Refuse columns that the first of the tables does not have, before a cluster is started for it.

    Raises:
        ColumnsError: says which there are.
    """
    for file in files:
        if file.format in TABLES:
            first = next(_records(file, MAX_RECORD_BYTES), None)
            if isinstance(first, ColumnsError):
                raise first
            return


def _inside(output: str | None) -> Inside:
    """Return what says whether a path of a file system is the folder `output` or lies in it."""
    if output is None:
        return lambda _, __: False
    place, root = filesystem_of(output)
    if isinstance(place, LocalFileSystem):
        folder = Path(root).resolve()  # through symbolic links, as each file's own path below
        return lambda system, path: (
            isinstance(system, LocalFileSystem) and Path(path).resolve().is_relative_to(folder)
        )
    return lambda system, path: isinstance(system, type(place)) and _keys(path).startswith(_keys(root))


def _keys(path: str) -> str:
    """Return what the keys of all files below a bucket's folder begin with."""
    return path.rstrip("/") + "/"


def _matches(pattern: str, format: str | None, inside: Inside, columns: Columns | None) -> list[InputFile]:
    try:
        return _found(pattern, format, inside, columns)
    except (UsageError, AccessError):
        raise
    except Exception as error:  # each kind of store has errors of its own: no credentials, no permission
        problem = f"cannot be reached ({type(error).__name__}: {error})"
        raise AccessError(pattern, "", problem, "Check the path, and what lets you in") from error


def _found(pattern: str, format: str | None, inside: Inside, columns: Columns | None) -> list[InputFile]:
    filesystem, path = filesystem_of(pattern)
    if filesystem.isdir(path) and format != "brat":
        paths = [each for each in filesystem.find(path) if _is_readable(each, format)]
    elif filesystem.exists(path):  # asked before it is taken for a glob: a name may hold brackets
        paths = [path]
    else:
        paths = filesystem.glob(path)
    if not paths:
        raise UsageError(f"no input file at {pattern}. Name files, a glob or a folder that holds some")
    paths = [each for each in paths if not inside(filesystem, each)]
    if not paths:
        raise UsageError(f"all that {pattern} names lies in the output folder. Choose another output folder")
    if hidden := [each for each in paths if stem_of(each).startswith(".")]:
        raise UsageError(f"{hidden[0]}: an output has no place for a name that begins with a dot. Rename it")
    if "://" not in pattern or pattern.startswith("file://"):
        for each in paths:
            refuse_special(each)
    names = [url_of(filesystem, each, pattern) if "://" in pattern else each for each in paths]
    with ThreadPoolExecutor(_OPEN_FILES) as pool:  # an object store answers late, but many at once
        contents = pool.map(partial(_content, filesystem, inside), paths)
        formats = pool.map(lambda name: format or input_format(name, columns), names)
        return [
            InputFile(name, stem_of(each), own, found, columns if own in TABLES else None, size)
            for name, each, own, (found, size) in zip(names, paths, formats, contents, strict=True)
        ]


def _is_readable(path: str, format: str | None) -> bool:
    if stem_of(path).startswith("."):  # what macOS leaves beside a file, say
        return False
    if re.search(r"(^|/)cache-[^/]*\.arrow$", path):  # what `datasets` leaves beside its data
        return False
    try:
        found = format_of(path)
    except UsageError:
        return False
    return format_named(found).can_read and format in (None, found)


def _content(filesystem: AbstractFileSystem, inside: Inside, path: str) -> tuple[str, int]:
    """Return a hash of a file's size, beginning and end (where gzip keeps its checksum), and its size.

    Those of a folder are made of its files', and of their names, without what is `inside` the output.
    What is no file there is not opened: its reader rejects it.
    """
    if filesystem.isdir(path):
        names = sorted(name for name in filesystem.find(path) if not inside(filesystem, name))
        parts, whole = [], 0
        for name in names:
            if isinstance(filesystem, LocalFileSystem) and not Path(name).is_file():
                # A link to a folder, to nothing or to itself; or a device, which is not opened.
                kind, size = special_kind(name) or "no file", 0
            else:
                kind, size = _content(filesystem, inside, name)
            parts.append(f"{name.removeprefix(path)}\0{kind}\n")
            whole += size
        return hashlib.sha256("".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16], whole
    size = filesystem.size(path)
    head = filesystem.read_block(path, 0, _FINGERPRINT_BYTES)
    tail = filesystem.read_block(path, max(0, size - _FINGERPRINT_BYTES), _FINGERPRINT_BYTES)
    return hashlib.sha256(b"%d\0" % size + head + tail).hexdigest()[:16], size


def read_shards(
    file: InputFile, size: int, done: Collection[int], max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Shard | EndOfFile | Unread]:
    """Yield the file's shards of at most `size` records that are not in `done`, then its EndOfFile.

    A record larger than `max_record_bytes` is rejected. A fault after which nothing can be read ends the
    file early: it is a rejected record of the last shard, and the end has it as its `error`. A fault that
    lies outside the file says nothing of what it
    holds: then the last item is Unread. Deletion notices travel in the shard they stand in.
    """
    number, held, ended = 0, _Held(), None
    for record in _records(file, max_record_bytes):
        if isinstance(record, AccessError):
            yield Unread(file.key, record)
            return
        if held.records == size or held.characters >= _MAX_CHARACTERS:
            if number not in done:
                yield held.shard(file, number)
            number, held = number + 1, _Held()
        if isinstance(record, InputError):
            ended = record
            held.add(Rejected(file.path, record.place, record.problem, record.remedy))
        else:
            held.add(record)
    if held.records or held.deletions:
        if number not in done:
            yield held.shard(file, number)
        number += 1
    if max(done, default=-1) >= number:
        problem = "it ended earlier than when it was read before, though its name, size and ends are the same"
        yield Unread(file.key, AccessError(file.path, "", problem, "Check that it arrives whole"))
    else:
        yield EndOfFile(file.key, number, ended)


def _records(file: InputFile, max_record_bytes: int) -> Iterator[Record | InputError]:
    """Yield a file's records, and last of all the error that ended the reading, if one did."""
    count = 0
    try:
        columns = {} if file.columns is None else {"columns": file.columns}
        entry = format_named(file.format)
        for record in entry.read_path(file.path, max_record_bytes=max_record_bytes, **columns):
            count += 1
            yield record
    except InputError as error:
        yield error
    except OSError as error:
        yield AccessError(file.path, "", f"reading broke off ({error})", "Check the disk or the network")
    except Exception as error:  # a fault of a reader's: raised on, it would take all of the file with it
        logger.exception("the reader of %s failed after record %d", file.path, count)
        problem = f"the reader failed ({type(error).__name__}: {error})"
        yield FormatError(file.path, f"after record {count}", problem, "Take that record out, and report it")


class _Held:
    """The records of a shard that is being read."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.rejected: list[Rejected] = []
        self.deletions: list[Deletion] = []
        self.characters = 0

    @property
    def records(self) -> int:
        return len(self.documents) + len(self.rejected)

    def add(self, record: Record) -> None:
        if isinstance(record, Document):
            self.documents.append(record)
            self.characters += len(record.text)
        elif isinstance(record, Rejected):
            self.rejected.append(record)
            self.characters += len(record.raw)
        else:
            self.deletions.append(record)

    def shard(self, file: InputFile, number: int) -> Shard:
        return Shard(file, number, tuple(self.documents), tuple(self.rejected), tuple(self.deletions))
