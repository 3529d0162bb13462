"""How far long work is, as one line: a log keeps it as it is, a terminal draws it as a bar."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"(?:\d\d:\d\d:\d\d )?(?P<task>.+?): (?P<unit>\w+) (?P<done>[\d,]+) of (?P<total>[\d,]+)"
    r"(?:, (?P<note>.*))?"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of a task; `note` is what else there is to say.

    Its text, such as `training: batch 17 of 38, epoch 1`, is what rooms report and logs keep; where a
    log puts the time before it, `read` leaves that out.
    """

    task: str
    unit: str
    done: int
    total: int
    note: str = ""

    def __str__(self) -> str:
        line = f"{self.task}: {self.unit} {self.done:,} of {self.total:,}"
        return f"{line}, {self.note}" if self.note else line

    @classmethod
    def read(cls, line: str) -> Progress | None:
        """Return what `line` says of progress; None where it says something else."""
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        done, total = (int(found[name].replace(",", "")) for name in ("done", "total"))
        return cls(found["task"], found["unit"], done, total, found["note"] or "")
