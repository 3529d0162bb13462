"""Why records were rejected, in a few lines: the most frequent reasons, each with a count and an example."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

_SHOWN = 3
_MAX_KINDS = 10_000
# What differs between records that have one fault: quoted pieces of them, and numbers.
_SPECIFIC = re.compile(r"""'[^']*'|"[^"]*"|\d[\d,]*""")


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for which `count` records were rejected; `example` is the first one, with its place."""

    count: int
    example: str


class Reasons:
    """Counts the reasons of rejected records by their kind."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, source: str, place: str, reason: str, remedy: str) -> None:
        """Count one rejected record."""
        kind = _SPECIFIC.sub("", reason)
        if kind not in self._examples:
            if len(self._examples) == _MAX_KINDS:
                return
            where = f"{source}, {place}" if place else source
            self._examples[kind] = f"{where}: {reason}. {remedy}" if remedy else f"{where}: {reason}"
        self._counts[kind] += 1

    def most_frequent(self) -> list[Reason]:
        """Return the three most frequent reasons, the first of equal ones first."""
        return [Reason(count, self._examples[kind]) for kind, count in self._counts.most_common(_SHOWN)]


def reason_lines(reasons: list[Reason]) -> list[str]:
    """Return a line for each reason, as a terminal shows it."""
    return [f"rejected {reason.count:,}, such as {reason.example}" for reason in reasons]
