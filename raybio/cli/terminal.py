"""What a command says: results to stdout, everything else to stderr, with a bar on a terminal."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from raybio import joining
from raybio.progress import Progress
from raybio.safe_text import data_without_secrets, safe
from raybio.storage import write_text

if TYPE_CHECKING:
    from raybio.cli.progress_bar import ProgressBar

_DOWNLOAD_SECONDS = 2.0

_bar: ProgressBar | None = None
_stopping = False


class ReaderGoneError(Exception):
    """Nobody reads stdout any more."""


def say(line: str) -> None:
    """Print a line to stderr, without credentials and control codes."""
    if _bar is None:
        print(safe(line), file=sys.stderr, flush=True)
    else:
        _bar.print(safe(line))


def say_starting() -> float:
    """Say at once that Ray starts, which takes a while with its imports; return `time.monotonic()`."""
    joining.say_starting(say)
    return time.monotonic()


def report(line: str) -> None:
    """Print a line of progress to stderr; one that says how far work is becomes a bar on a terminal."""
    progress = Progress.read(safe(line))
    if progress is not None and _can_draw():
        _draw(progress)
    else:
        say(line)


def close_bar() -> None:
    """Take away the bar, if there is one: nothing is under way any more."""
    global _bar
    if _bar is not None:
        _bar.close()
        _bar = None


def abandon_bar() -> None:
    """End the line of the bar, where there is one, and draw no more; a signal's handler may call this."""
    global _stopping
    _stopping = True
    if _bar is not None:
        _bar.abandon()


def _can_draw() -> bool:
    """Say whether stderr is a terminal on which a line can be drawn again, and work is not being stopped."""
    return not _stopping and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _draw(progress: Progress) -> None:
    global _bar
    if _bar is None:
        from raybio.cli.progress_bar import ProgressBar

        _bar = ProgressBar()
    _bar.show(progress)


def show(text: str) -> None:
    """Print a result to stdout, without credentials and control codes; `text` ends its own lines.

    Raises:
        ReaderGoneError: stdout is a pipe that its reader has closed.
    """
    close_bar()
    try:
        sys.stdout.write(safe(text))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more when it exits, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderGoneError from None


def show_figures(table: str, figures: Mapping[str, Any], json_file: str | None) -> None:
    """Print `table`, and write `figures` to `json_file` where one is named; "-" prints them instead.

    Credentials in URLs are left out of both.

    Raises:
        StorageError: `json_file` cannot be written.
    """
    text = json.dumps(data_without_secrets(figures), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if json_file == "-":
        show(text)
        return
    if json_file is not None:
        write_text(json_file, text)
    show(table)


class DownloadProgress:
    """Says how far a download is, every few seconds and when it is complete; a bar on a terminal."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, name: str, have: int, size: int | None) -> None:
        """Take note of `have` of `size` bytes of file `name`; an unknown size is None."""
        if _can_draw() and (size is None or have < size):
            _draw(Progress(safe(name), "kB", have // 1000, size and (size // 1000 or 1)))
            return
        close_bar()
        now = time.monotonic()
        if have == size or now - self._said > _DOWNLOAD_SECONDS:
            self._said = now
            say(f"{name}: {_megabytes(have)}" + (f" of {_megabytes(size)}" if size else ""))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
