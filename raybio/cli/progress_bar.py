"""A bar with rate and time left below the lines on a terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import timedelta
from typing import IO, Any, cast

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Display
from rich.table import Column
from rich.text import Text

from raybio.progress import Progress

_DRAWING_SECONDS = 0.5


class _Console(Console):
    """Whatever ends the process, a signal say, would leave a hidden cursor hidden."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class _Screen:
    """The stderr that the bar is drawn on, until it is abandoned."""

    def __init__(self) -> None:
        self.stderr = sys.stderr
        self.abandoned = False
        self._writing = threading.RLock()

    @property
    def encoding(self) -> str:
        return self.stderr.encoding

    def write(self, text: str) -> None:
        with self._writing:
            if not self.abandoned:
                self.stderr.write(text)
                self.stderr.flush()

    def flush(self) -> None:
        """Nothing is held back."""

    def abandon(self) -> None:
        """Have nothing more drawn here, and end the line; a signal's handler may call this.

        Another thread may be drawing: that takes a moment, unless nobody reads the terminal.
        """
        held = self._writing.acquire(timeout=_DRAWING_SECONDS)
        self.abandoned = True
        sys.stderr = self.stderr  # what is printed there has no bar below it any more
        os.write(2, b"\n")
        if held:
            self._writing.release()


class Pace:
    """The mean rate of a task since it was first reported, and the time that what is left takes at it.

    What was done before that says nothing of the rate. Rich's own estimate needs three reports, and
    rooms report every few seconds; a mean since the beginning needs two.
    """

    def __init__(self, done: int, now: float) -> None:
        self._first = self._last = done, now

    def report(self, done: int, now: float) -> None:
        """Take note that `done` units are done at the time `now`, in seconds."""
        self._last = done, now

    @property
    def rate(self) -> float | None:
        """Units a second; None as long as nobody can tell."""
        (before, began), (done, now) = self._first, self._last
        return (done - before) / (now - began) if done > before and now > began else None

    def seconds_left(self, total: int, now: float) -> float | None:
        """Return how long it takes, from `now`, until `total` units are done; None: nobody can tell."""
        if self.rate is None:
            return None
        done, reported = self._last
        return max(0.0, (total - done) / self.rate - (now - reported))


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        rate = task.fields["pace"].rate
        return Text("" if rate is None else f"{rate:.3g}/s")


class _TimeLeft(ProgressColumn):
    """Hours, minutes and seconds."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        left = task.fields["pace"].seconds_left(int(task.total), time.monotonic())
        return Text("-:--:--" if left is None else str(timedelta(seconds=round(left))))


class _Count(ProgressColumn):
    """How many are done, of how many where that is known."""

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f" of {task.total:,}"
        return Text(f"{task.fields['unit']} {task.completed:,}{total}")


class ProgressBar:
    """The one bar of the process, on stderr: that of the task which reported last."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._display: Display | None = None
        self._shown: tuple[Progress, TaskID, Pace] | None = None
        self._screen = _Screen()

    def show(self, progress: Progress) -> None:
        """Draw how far a task is; the bar goes when it is complete."""
        with self._lock:
            if progress.complete:
                self.close()
                return
            display, now = self._display or self._start(), time.monotonic()
            fields: dict[str, Any] = {"unit": progress.unit, "note": progress.note}
            if self._shown and (self._shown[0].task, self._shown[0].unit) == (progress.task, progress.unit):
                _, task, pace = self._shown
                pace.report(progress.done, now)
                display.update(task, completed=progress.done, total=progress.total, **fields)
            else:
                if self._shown:
                    display.remove_task(self._shown[1])
                pace = Pace(progress.done, now)
                task = display.add_task(
                    progress.task, completed=progress.done, total=progress.total, pace=pace, **fields
                )
            self._shown = progress, task, pace

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        with self._lock:
            if self._display is None or self._screen.abandoned:
                print(line, file=sys.stderr, flush=True)
            else:
                self._display.console.out(line, highlight=False)

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._display is not None:
                self._display.stop()
            self._display = self._shown = None

    def abandon(self) -> None:
        """Leave the bar on the terminal as it is, and end its line; a signal's handler may call this."""
        if self._display is not None and not self._screen.abandoned:
            self._screen.abandon()

    def _start(self) -> Display:
        self._display = Display(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            _Count(),
            _Rate(),
            _TimeLeft(),
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
            console=_Console(file=cast("IO[str]", self._screen), force_terminal=True),
            transient=True,
            expand=True,
            # Results are printed to stdout as they are; what else is printed to stderr goes above the bar.
            redirect_stdout=False,
            redirect_stderr=True,
        )
        self._display.start()
        return self._display
