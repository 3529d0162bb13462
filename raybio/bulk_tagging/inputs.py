"""Paths, globs, folders and URLs -> the input files that they name, each with a hash of what it holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from raybio.corpora import TABLES, format_named, format_of, input_format
from raybio.corpora.opening import refuse_special, stem_of
from raybio.corpora.table import Columns
from raybio.errors import AccessError, UsageError
from raybio.filesystems import filesystem_of, is_url, url_of
from raybio.safe_text import without_secrets
from raybio.special_files import special_kind

_FINGERPRINT_BYTES = 65_536
_OPEN_FILES = 16


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
