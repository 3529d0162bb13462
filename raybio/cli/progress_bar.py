"""A bar with rate and time left below the lines on a terminal."""

from __future__ import annotations

import sys
import threading
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Display
from rich.table import Column
from rich.text import Text

from raybio.progress import Progress

_SPEED_SECONDS = 120.0
"""How far back the rate looks: rooms report every few seconds."""


class _Console(Console):
    """Whatever ends the process, a signal say, would leave a hidden cursor hidden."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.3g}/s" if task.speed else "")


class ProgressBar:
    """The one bar of the process, on stderr: that of the task which reported last."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._display: Display | None = None
        self._shown: tuple[Progress, TaskID] | None = None

    def show(self, progress: Progress) -> None:
        """Draw how far a task is; the bar goes when it is done."""
        with self._lock:
            if progress.done >= progress.total:
                self.close()
                return
            display = self._display or self._start()
            fields: dict[str, Any] = {"unit": progress.unit, "note": progress.note}
            if self._shown and (self._shown[0].task, self._shown[0].unit) == (progress.task, progress.unit):
                task = self._shown[1]
                display.update(task, completed=progress.done, total=progress.total, **fields)
            else:
                if self._shown:
                    display.remove_task(self._shown[1])
                # What was done before it was first reported says nothing of the rate.
                task = display.add_task(
                    progress.task, completed=progress.done, total=progress.total, **fields
                )
            self._shown = progress, task

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        with self._lock:
            if self._display is None:
                print(line, file=sys.stderr, flush=True)
            else:
                self._display.console.out(line, highlight=False)

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._display is not None:
                self._display.stop()
            self._display = self._shown = None

    def _start(self) -> Display:
        self._display = Display(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[unit]} {task.completed:,} of {task.total:,}"),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
            console=_Console(file=sys.stderr, force_terminal=True),
            transient=True,
            expand=True,
            speed_estimate_period=_SPEED_SECONDS,
            # Results are printed to stdout as they are.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._display.start()
        return self._display
