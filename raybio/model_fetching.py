"""Models in buckets -> folders of raybio's cache: each is fetched once a node, and all stay within a bound.

What a bucket holds is listed each time a model is asked for, which costs one request: a model that was
changed there is another folder. Where the bound would be passed, the least recently used models go first, and
never one that a process of this node holds.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, NamedTuple

from filelock import FileLock

from raybio.errors import ModelError, StorageError, UsageError, first_line
from raybio.filesystems import filesystem_of
from raybio.model_identity import cache_folder
from raybio.storage import replace_folder

CACHE_GB = "RAYBIO_MODEL_CACHE_GB"
"""The environment variable that bounds what fetched models may take on a node, in GB of 10^9 bytes."""

_CACHE_GB = 100.0
# What the stores call the version of a file; its size alone would miss new weights of the same shape.
_VERSION = ("size", "ETag", "etag", "generation", "LastModified", "mtime")
_OTHER_DISK = "Make room there, or set RAYBIO_CACHE to a folder on another disk"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_held: dict[Path, IO[bytes]] = {}
"""Locks that say to other processes that this one uses a model, for as long as it lives."""


class _Remote(NamedTuple):
    """A file of a model in a bucket."""

    path: str
    name: str
    size: int
    version: str


def fetched(url: str, patterns: Sequence[str]) -> Path:
    """Return the cache's folder with those files of the model at `url` that match one of `patterns`.

    Raises:
        ModelError: nothing is there, it cannot be read, or this node has no room for it.
    """
    try:
        files = sorted(_listed(url, patterns))
        state = "\n".join([url, *(f"{file.name} {file.version}" for file in files)])
        stem = url.rstrip("/").rpartition("/")[2]
        folder = _shelf() / f"{stem}-{hashlib.sha256(state.encode()).hexdigest()[:16]}"
        with _locked():
            if not folder.is_dir():
                _make_room(sum(file.size for file in files), url)
                _fetch(url, files, folder)
            _hold(folder)
            os.utime(folder)
    except (OSError, StorageError) as error:  # a full or read-only disk of this node
        raise ModelError(f"{url} cannot be kept in {_shelf()}: {first_line(error)}. {_OTHER_DISK}") from error
    return folder


def _shelf() -> Path:
    return cache_folder() / "fetched"


@contextmanager
def _locked() -> Iterator[None]:
    """Let one process of a node fetch at a time: the others find what it fetched."""
    _shelf().mkdir(parents=True, exist_ok=True)
    with FileLock(_shelf() / ".lock"):
        yield


def _listed(url: str, patterns: Sequence[str]) -> Iterator[_Remote]:
    """Yield the files of a model, without those of folders in it."""
    try:
        filesystem, root = filesystem_of(url)
        entries: list[dict[str, Any]] = filesystem.ls(root, detail=True)
    except UsageError as error:
        raise ModelError(str(error)) from error
    except Exception as error:  # each store has errors of its own
        raise _unreadable(url, error) from error
    found = 0
    for entry in entries:
        name = entry["name"].rstrip("/").rpartition("/")[2]
        if entry["type"] == "file" and any(fnmatch(name, pattern) for pattern in patterns):
            found += 1
            version = " ".join(str(entry[key]) for key in _VERSION if key in entry)
            yield _Remote(entry["name"], name, int(entry["size"] or 0), version)
    if not found:
        raise ModelError(f"there is no model at {url}: it holds none of {', '.join(patterns)}. Check the URL")


def _fetch(url: str, files: Sequence[_Remote], folder: Path) -> None:
    filesystem, _ = filesystem_of(url)
    with replace_folder(folder) as draft:
        for file in files:
            try:
                filesystem.get_file(file.path, str(draft / file.name))
            except Exception as error:  # each store has errors of its own
                if isinstance(error, OSError) and error.errno in _FULL:
                    raise
                raise _unreadable(url, error) from error
            size = (draft / file.name).stat().st_size
            if size != file.size:
                raise ModelError(
                    f"{url}/{file.name} came with {size:,} bytes instead of {file.size:,}: it was changed, "
                    "or the connection broke. Run the command again"
                )


def _unreadable(url: str, error: Exception) -> ModelError:
    return ModelError(
        f"{url} cannot be read: {first_line(error)}. Check the URL, the network and your access to it"
    )


def _make_room(wanted: int, url: str) -> None:
    """Remove models that nobody holds, the least recently used first, until `wanted` bytes are allowed."""
    try:
        bound = float(os.environ.get(CACHE_GB) or _CACHE_GB) * 1e9
    except ValueError:
        given = os.environ[CACHE_GB]
        raise ModelError(f"{CACHE_GB}={given!r} is no number. Set it to one, of GB, or not at all") from None
    folders = [each for each in _shelf().iterdir() if each.is_dir() and not each.name.startswith(".")]
    kept = {
        folder: sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) for folder in folders
    }
    for folder in sorted(kept, key=lambda each: each.stat().st_mtime):
        if sum(kept.values()) + wanted <= bound:
            break
        if _free(folder):
            del kept[folder]
    if sum(kept.values()) + wanted > bound:
        raise ModelError(
            f"{url} has {wanted / 1e9:.1f} GB, and fetched models may take {bound / 1e9:g} GB on a node, of "
            f"which {sum(kept.values()) / 1e9:.1f} are in use. Set {CACHE_GB} higher"
        )
    if (free := shutil.disk_usage(_shelf()).free) < wanted:
        raise ModelError(
            f"{url} has {wanted / 1e9:.1f} GB, and the disk of {_shelf()} has {free / 1e9:.1f} GB left. "
            f"{_OTHER_DISK}"
        )


def _hold(folder: Path) -> None:
    if folder not in _held and sys.platform != "win32":
        import fcntl

        mark = _mark(folder).open("ab")
        fcntl.flock(mark, fcntl.LOCK_SH)
        _held[folder] = mark


def _free(folder: Path) -> bool:
    """Remove a model, unless a process holds it; return whether it is gone."""
    if sys.platform != "win32":
        import fcntl

        with _mark(folder).open("ab") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
    shutil.rmtree(folder)
    _mark(folder).unlink(missing_ok=True)
    return True


def _mark(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.held")
