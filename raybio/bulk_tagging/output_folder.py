"""The files of an output folder, a local path or a URL: read as they are now, written whole or not at all."""

from __future__ import annotations

import errno
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from fsspec.implementations.local import LocalFileSystem

from raybio import storage
from raybio.errors import CommitError, StorageError
from raybio.filesystems import filesystem_of
from raybio.versioned import read_record

# What file systems call the time or tag of a file's content.
_STAMPS = ("size", "mtime", "created", "ETag", "etag", "LastModified", "last_modified", "updated")
_REMOVALS = 10
_RESTORE = "Restore the file, or remove it to do its work again"
ASKED_AHEAD = 16

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Record = TypeVar("Record")


class OutputFolder:
    """One output folder; `output` is its path or URL. Names are relative to it.

    Raises:
        UsageError: no file system of that name is known, or its package is not installed.
    """

    def __init__(self, output: str) -> None:
        self.output = output.rstrip("/")
        self._filesystem, self._root = filesystem_of(self.output)

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a file of the output.

        Raises:
            FileNotFoundError: there is none.
            CommitError: it cannot be read.
        """
        with self._asking(name, "read", FileNotFoundError):
            # Said from which byte, S3 is asked once; otherwise it is asked for the size first.
            content: bytes = self._filesystem.cat_file(f"{self._root}/{name}", start=0)
        return content

    def read_json(self, name: str) -> Any:
        """Return what a JSON file of the output holds, or None where there is none.

        Raises:
            CommitError: it cannot be read.
        """
        try:
            return json.loads(self.read_bytes(name))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise CommitError(f"{self.output}/{name}: not JSON ({error}). {_RESTORE}") from error

    def read_record(self, name: str, record: type[Record]) -> Record | None:
        """Return the `record`, a dataclass, in a JSON file of the output, or None where there is none.

        Raises:
            CommitError: it cannot be read, or only by a later raybio.
        """
        held = self.read_json(name)
        return (
            None
            if held is None
            else read_record(record, held, f"{self.output}/{name}", CommitError, _RESTORE)
        )

    def write_json(self, name: str, data: Any) -> None:
        """Write a JSON file of the output, whole.

        Raises:
            CommitError: it cannot be written.
        """
        try:
            self._write(name, _encoded(data))
        except CommitError:
            # Another run on the same output may have removed the folder in this moment.
            self._write(name, _encoded(data))

    def _write(self, name: str, content: bytes) -> None:
        with self.writing(name) as stream:
            stream.write(content)

    def create_json(self, name: str, data: Any) -> bool:
        """Write a JSON file of the output, whole, unless there is one; return whether there was none.

        Of several that try at once one succeeds, on local disks and where a file system has a
        conditional write (S3, Google Cloud); elsewhere the last one's stays.

        Raises:
            CommitError: it cannot be written.
        """
        try:
            return storage.create_whole(self._path(name), _encoded(data))
        except StorageError as error:
            raise self._failed(name, "written", error) from error

    def _path(self, name: str) -> str:
        return f"{self._root if self._is_local else self.output}/{name}"

    def remove_file(self, name: str) -> None:
        """Remove a file of the output, if it is there; a store is asked once.

        Raises:
            CommitError: it cannot be removed.
        """
        with suppress(FileNotFoundError), self._asking(name, "removed", FileNotFoundError):
            self._filesystem.rm_file(f"{self._root}/{name}")

    def remove(self, name: str) -> None:
        """Remove a file or folder of the output, if it is there.

        Raises:
            CommitError: it cannot be removed.
        """
        path = f"{self._root}/{name}"
        for again in reversed(range(_REMOVALS)):
            try:
                if self._filesystem.exists(path):
                    self._remove(path)
                return
            except OSError as error:
                # Another run on the same output removes it too, or has just written into it.
                met = isinstance(error, FileNotFoundError) or error.errno == errno.ENOTEMPTY
                if not (met and again):
                    raise self._failed(name, "removed", error) from error

    def _remove(self, path: str) -> None:
        if self._is_local and Path(path).is_dir():
            # fsspec would ask for the current folder first, which may be gone: Ray removes a job's.
            shutil.rmtree(path)
        else:
            self._filesystem.rm(path, recursive=True)

    def names(self, folder: str) -> list[str]:
        """Return the names of what is in a folder of the output, sorted; none where there is no folder."""
        return sorted(_last(path) for path in self._listed(folder, detail=False))

    def stamps(self, folder: str) -> dict[str, str]:
        """Return the files of a folder of the output, each with a stamp that changes when it is written."""
        return {
            _last(info["name"]): " ".join(str(info.get(key, "")) for key in _STAMPS)
            for info in self._listed(folder, detail=True)
        }

    def _listed(self, folder: str, detail: bool) -> list[Any]:
        try:
            with self._asking(folder, "listed", FileNotFoundError, NotADirectoryError):
                found = self._filesystem.ls(f"{self._root}/{folder}", detail=detail)
        except (FileNotFoundError, NotADirectoryError):
            return []
        # A writer that was killed leaves its draft, under a hidden name.
        return [each for each in found if not _last(each["name"] if detail else each).startswith(".")]

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Open a file of an output for writing; it is there when the block has ended, whole or not at all.

        Raises:
            CommitError: it cannot be written: the disk is full, say, or read-only.
        """
        try:
            with storage.write_whole(self._path(name)) as stream:
                yield stream
        except (OSError, StorageError) as error:
            raise self._failed(name, "written", error) from error

    @property
    def _is_local(self) -> bool:
        return isinstance(self._filesystem, LocalFileSystem)

    @contextmanager
    def _asking(self, name: str, done: str, *met: type[OSError]) -> Iterator[None]:
        """Make a CommitError of what goes wrong at this place, but for those that are `met`."""
        try:
            yield
        except (*met, CommitError):  # type: ignore[misc]
            raise
        except Exception as error:
            # Stores have errors of their own: no credentials, a lock on the bucket, too many requests.
            if self._is_local and not isinstance(error, OSError):
                raise
            raise self._failed(name, done, error) from error

    def _failed(self, name: str, done: str, error: Exception) -> CommitError:
        reason = storage.reason_of(error)
        return CommitError(
            f"{self.output}/{name}: cannot be {done} ({reason}). What is committed stays; make room or "
            "repair the place, and run the same command again to resume"
        )


def ahead(ask: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
    """Yield `ask(item)` for each item, in order; several are asked ahead, since a store answers late."""
    waiting: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(ASKED_AHEAD) as pool:
        for item in items:
            waiting.append(pool.submit(ask, item))
            if len(waiting) > ASKED_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _encoded(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode() + b"\n"


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
