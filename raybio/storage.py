"""One way to storage: files and folders that are written whole or not at all, on disks and in buckets.

A reader sees a file as it was or as it is, never half of it, whoever is killed and whatever disk is
full; of several writers of one file each succeeds and one of their contents stays. On a disk that is a
hidden name of the writer's own, fsync of the file, a rename and fsync of the folder; in a bucket it is
one upload. A writer that is killed leaves its hidden file, which nobody reads.

Paths are local, or URLs (see `filesystems`); lines are appended by `json_lines`.
"""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, cast

from raybio.errors import StorageError
from raybio.filesystems import filesystem_of, is_url

_NAME_CHARACTERS = 40  # of a file's name in that of its draft: names have at most 255 bytes
_ABANDONED_SECONDS = 24 * 60 * 60
_SWAPS = 100
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def write_whole(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing; what was there before stays until the block has ended without an error.

    Missing folders are made, a link is followed, and what cannot be renamed over (a pipe, a terminal) is
    written as it is.

    Raises:
        StorageError: the file cannot be written: a full disk, no permission, a bucket that refuses.
    """
    path = os.fspath(path).removeprefix("file://")
    if is_url(path):
        with _uploaded(path) as stream:
            yield stream
        return
    target = Path(path)
    if target.exists() and not target.is_file():
        with blaming(path), target.open("wb") as stream:
            yield stream
        return
    target = target.resolve() if target.is_symlink() else target
    with _draft(target, path) as stream:
        yield stream
        with blaming(path):
            stream.flush()
            publish(Path(stream.name), target)


def publish(draft: Path, target: Path) -> None:
    """Give a file that is complete its name, so that both outlive a loss of power."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(target)
    _sync_folder(target.parent)


def write_text(path: str | Path, text: str) -> None:
    """Write a file of UTF-8 text whole; line ends stay as they are.

    Raises:
        StorageError: it cannot be written.
    """
    with write_whole(path) as stream:
        stream.write(text.encode("utf-8"))


def write_json(path: str | Path, data: Any) -> None:
    """Write `data` whole as indented JSON, for people to read as well.

    Raises:
        StorageError: it cannot be written.
    """
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def create_whole(path: str, content: bytes) -> bool:
    """Write a file whole unless there is one; return whether there was none.

    Of several that try at once one succeeds, on local disks and where a file system has a conditional
    write (S3, Google Cloud); elsewhere the last one's stays.

    Raises:
        StorageError: it cannot be written.
    """
    path = path.removeprefix("file://")
    if is_url(path):
        filesystem, inner = filesystem_of(path)
        try:
            with blaming(path, FileExistsError):
                filesystem.pipe_file(inner, content, mode="create")
        except FileExistsError:
            return False
        return True
    target = Path(path)
    with _draft(target, path) as stream, blaming(path):
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
        try:
            target.hardlink_to(stream.name)
        except FileExistsError:
            return False
        except OSError:
            Path(stream.name).rename(target)  # a file system without links
        _sync_folder(target.parent)
    return True


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of `folder`, whole, when the block has ended well.

    Nothing of what `folder` held before is left then; where the block fails, all of it is. On Linux the
    two change names in one step; elsewhere there is no `folder` for a moment. Folders that a killed
    process was filling are removed after a day.

    Raises:
        StorageError: the folder cannot be written.
    """
    target = folder.resolve()
    with blaming(str(folder)):
        make_folder(target.parent)
        for left in target.parent.glob(_hidden(target, "*").name):
            with suppress(FileNotFoundError):  # another process has just removed it
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        draft = _hidden(target)
        draft.mkdir()
    try:
        yield draft
        with blaming(str(folder)):
            _sync_tree(draft)
            _swap(draft, target)
            _sync_folder(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _draft(target: Path, path: str) -> Iterator[BinaryIO]:
    """Open a hidden file beside `target`; it is gone at the end, unless it was renamed."""
    draft = _hidden(target)
    with blaming(path):
        make_folder(target.parent)
        stream = cast(BinaryIO, io.BufferedWriter(_File(draft, path)))
    try:
        with stream:
            yield stream
    finally:
        draft.unlink(missing_ok=True)


class _File(io.FileIO):
    """A new file whose faults are kept apart from those of whoever writes into it."""

    def __init__(self, draft: Path, path: str) -> None:
        super().__init__(draft, "x")
        self._path = path

    def write(self, content: Any) -> int:
        with blaming(self._path):
            return super().write(content)


@contextmanager
def _uploaded(url: str) -> Iterator[BinaryIO]:
    filesystem, path = filesystem_of(url)
    with tempfile.NamedTemporaryFile(prefix="raybio-") as draft:
        yield cast(BinaryIO, draft)
        draft.flush()
        with blaming(url):
            filesystem.put_file(draft.name, path)  # one request, for all but very large files


@contextmanager
def blaming(path: str, *expected: type[Exception]) -> Iterator[None]:
    """Make a StorageError of what goes wrong at `path`, but for what is `expected`."""
    try:
        yield
    except (StorageError, *expected):  # type: ignore[misc]
        raise
    except Exception as error:
        # Stores have errors of their own: no credentials, a lock on the bucket, too many requests.
        if not (isinstance(error, OSError) or is_url(path)):
            raise
        raise StorageError(path, reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """Return what to write of an error of a file system: "No space left on device"."""
    if isinstance(error, StorageError):
        return error.reason
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _hidden(target: Path, unique: str = "") -> Path:
    """Return a new hidden name beside `target`, or with "*" what matches all of them."""
    return target.with_name(f".{target.name[:_NAME_CHARACTERS]}.{unique or uuid.uuid4().hex[:12]}.partial")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that their names outlive a loss of power."""
    missing = [*takewhile(lambda each: not each.exists(), (folder, *folder.parents))]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    """Have the names in `folder` outlive a loss of power, too: what is written next may rely on them."""
    if os.name != "posix":  # others cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system on which folders cannot be synced
            raise
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for each in (path for path in folder.rglob("*") if not path.is_symlink()):
        if each.is_dir():
            _sync_folder(each)
        else:
            with each.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _swap(draft: Path, target: Path) -> None:
    """Give `draft` the name `target`; what had that name has the draft's then, or is gone."""
    for _ in range(_SWAPS):
        if _exchange(draft, target):
            return
        old = _hidden(target)
        with suppress(FileNotFoundError):  # there is none, or another writer has just moved it
            target.rename(old)
        try:
            draft.rename(target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another writer was first
                raise
        finally:
            shutil.rmtree(old, ignore_errors=True)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change names in one step, where the system can; return whether they did."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    done: int = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0
