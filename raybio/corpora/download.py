"""One file over HTTP: streamed, resumed where it broke off, checked, and renamed when it is right."""

from __future__ import annotations

import hashlib
import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from raybio.corpora.http_request import (
    DroppedError,
    NothingLeftError,
    drops_reported,
    length_of,
    open_address,
    quoted,
)
from raybio.errors import FetchError
from raybio.safe_text import without_secrets
from raybio.storage import publish

Progress: TypeAlias = Callable[[str, int, "int | None"], None]
"""Called with a file's name, its bytes so far, and its size where the server says it."""

Result = TypeVar("Result")

TRIES = 4
FIRST_PAUSE = 1.0
"""Seconds before the second try; each further pause is twice as long."""

BLOCK = 1 << 18
"""Bytes read at a time."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A checked file: `fresh` is False where it was already there and right; `url` has no credentials."""

    path: Path
    url: str
    size: int
    fresh: bool


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def fetch_file(
    url: str, target: Path, expected: Mapping[str, str], progress: Progress | None = None
) -> FetchedFile:
    """Download `url` to `target`, unless a file with the expected checksums is already there.

    The bytes go to `target` + ".part", which a later call takes up again where this one broke
    off; `expected` maps "SHA-256", "git blob" or "MD5" to hexadecimal digits.

    Raises:
        FetchError: the server cannot be reached, does not have the file, or sent something
            else than expected (the part is then deleted); or the disk cannot be written.
        UsageError: `url` is neither http nor https.
    """
    try:
        if is_right(target, expected):
            return FetchedFile(target, without_secrets(url), target.stat().st_size, fresh=False)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        _try_often(url, lambda: _download(url, part, target.name, progress))
        _check(url, part, expected)
        size = part.stat().st_size
        publish(part, target)
    except OSError as error:
        raise FetchError(f"{target}: cannot be written ({error.strerror or error})") from error
    return FetchedFile(target, without_secrets(url), size, fresh=True)


def fetch_text(url: str, limit: int = 4096) -> str:
    """Return the content of a text file of at most `limit` bytes.

    Raises:
        FetchError: it cannot be had, is longer, or is not UTF-8.
        UsageError: `url` is neither http nor https.
    """

    def read() -> bytes:
        with open_address(url) as response, drops_reported():
            return response.read(limit + 1)

    content = _try_often(url, read)
    if len(content) > limit:
        raise FetchError(f"{url}: longer than {limit} bytes, so it is not the file that was asked for")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FetchError(f"{url}: not a text file") from error


def is_right(path: Path, expected: Mapping[str, str]) -> bool:
    """Say whether `path` is a file with the `expected` checksums."""
    return path.is_file() and checksums(path).items() >= expected.items()


def checksums(path: Path) -> dict[str, str]:
    """Return a file's "SHA-256", "MD5" and "git blob" (SHA-1 of `blob <size>\\0<content>`).

    Git's hash format: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects.
    """
    hashes: dict[str, _Hash] = {
        "SHA-256": hashlib.sha256(),
        "MD5": hashlib.md5(usedforsecurity=False),
        "git blob": hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False),
    }
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            for one in hashes.values():
                one.update(block)
    return {name: one.hexdigest() for name, one in hashes.items()}


def _check(url: str, part: Path, expected: Mapping[str, str]) -> None:
    """Delete `part` and raise where a checksum is not the expected one."""
    got = checksums(part)
    for name, value in expected.items():
        if got[name] != value:
            part.unlink()
            raise FetchError(
                f"{url}: wrong content: expected {name} {value}, got {got[name]}. "
                "The download was deleted; fetch it again, or check what stands between you and the server"
            )


def _try_often(url: str, attempt: Callable[[], Result]) -> Result:
    """Return what `attempt` does; where the connection drops, try again up to `TRIES` times in all."""
    for tries in range(1, TRIES):
        with suppress(DroppedError):
            return attempt()
        time.sleep(FIRST_PAUSE * 2 ** (tries - 1))
    try:
        return attempt()
    except DroppedError as error:
        raise FetchError(
            f"{url}: gave up after {TRIES} tries ({error}). Check the network connection, "
            "or name a mirror; what has arrived is kept, and the next call resumes from there"
        ) from error


def _download(url: str, part: Path, name: str, progress: Progress | None) -> None:
    """Bring `part` from the bytes it has to the whole file; raise `DroppedError` where it stays short."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = open_address(url, start=have)
    except NothingLeftError:
        return  # The part was whole already, or is wrong: its checksum decides.
    with response:
        if not _continues_at(have, response):
            have = 0
        length = length_of(url, response)
        size = None if length is None else have + length
        with part.open("ab" if have else "wb") as file:
            for block in _blocks(response):
                file.write(block)
                have += len(block)
                if progress:
                    progress(name, have, size)
    if size is not None and have < size:
        raise DroppedError(f"the connection broke off after {have} of {size} bytes")


def _continues_at(start: int, response: http.client.HTTPResponse) -> bool:
    """Say whether the server sends the rest from `start`, and not the whole file in spite of the range.

    Raises:
        FetchError: it sends another piece than was asked for.
    """
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return False
    piece = response.headers["Content-Range"] or ""
    if not piece.startswith(f"bytes {start}-"):
        raise FetchError(
            f"{response.url}: sent {quoted(piece)} for the bytes from {start} on. Delete the .part file"
        )
    return True


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the response's bytes; only reading is guarded, so that a full disk is not tried again."""
    while True:
        with drops_reported():
            block = response.read(BLOCK)
        if not block:
            return
        yield block
