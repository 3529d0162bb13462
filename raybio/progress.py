"""How far long work is, as one line: a log keeps it as it is, a terminal draws it as a bar."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

_LINE = re.compile(
    r"(?:\d\d:\d\d:\d\d )?(?P<task>.+?): (?P<unit>\w+) (?P<done>[\d,]+) (?:of (?P<total>[\d,]+)|so far)"
    r"(?:, (?P<note>.*))?"
)
_EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of a task (None: nobody knows how many); `note` is what else there is to say.

    Its text, such as `training: batch 17 of 38, epoch 1` or `teachers: sentence 1,024 so far`, is what
    rooms report and logs keep; where a log puts the time before it, `read` leaves that out.
    """

    task: str
    unit: str
    done: int
    total: int | None
    note: str = ""

    def __str__(self) -> str:
        end = "so far" if self.total is None else f"of {self.total:,}"
        line = f"{self.task}: {self.unit} {self.done:,} {end}"
        return f"{line}, {self.note}" if self.note else line

    @classmethod
    def read(cls, line: str) -> Progress | None:
        """Return what `line` says of progress; None where it says something else."""
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        total = None if found["total"] is None else _number(found["total"])
        return cls(found["task"], found["unit"], _number(found["done"]), total, found["note"] or "")

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.total is not None and self.done >= self.total


def _number(text: str) -> int:
    return int(text.replace(",", ""))


class ProgressReports:
    """Reports how far a task is: at once, then every five seconds, and when it is complete."""

    def __init__(self, report: Callable[[str], None], task: str, unit: str, total: int | None) -> None:
        self._report, self._task, self._unit, self._total = report, task, unit, total
        self._reported = float("-inf")

    def __call__(self, done: int) -> None:
        """Take note that `done` units are done by now."""
        progress, now = Progress(self._task, self._unit, done, self._total), time.monotonic()
        if progress.complete or now - self._reported >= _EVERY_SECONDS:
            self._reported = now
            self._report(str(progress))
