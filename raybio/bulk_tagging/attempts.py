"""Attempts at a shard: what a worker was tagging when it died, and so which document killed it.

Before a worker tags documents it marks in the ledger which ones. Whoever takes up the shard next
in the same run finds the mark, and so knows what a worker died of. A shard that did so twice is
tagged in halves, a half that did so in halves again, and a single document that did so twice is a
culprit: about thirteen dead workers find one among a thousand. The marks of another run say
nothing: its driver died, and all of its workers with it.
"""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

from raybio.bulk_tagging.ledger import Ledger
from raybio.bulk_tagging.shards import Shard
from raybio.versioned import versioned

Range: TypeAlias = tuple[int, int]
"""Documents `[first, last)` of a shard."""

_PATIENCE = 2


@dataclass(frozen=True)
class _Mark:
    """A shard that was begun: how often, by which run last, what is in flight, and where workers died."""

    count: int
    run: str
    in_flight: Range | None = None
    deaths: list[Range] = field(default_factory=list)


class Attempt:
    """One worker's attempt at a shard; `count` is how often the shard was begun, by whichever run."""

    def __init__(self, ledger: Ledger, shard: Shard, run: str, seconds: float | None = None) -> None:
        """Begin the shard, in the run called `run`; a range may take `seconds`, or any time."""
        self._ledger = ledger
        self._mark = ledger.mark_of(shard.file, shard.number)
        self._run = run
        self._seconds = seconds
        before = ledger.read_record(self._mark, _Mark) or _Mark(0, run)
        self._deaths = list(before.deaths)
        if before.in_flight is not None and before.run == run:
            self._deaths.append(before.in_flight)
        self.count = before.count + 1
        self.ranges, self.culprits = to_tag(len(shard.documents), self._deaths)

    @contextmanager
    def holding(self, documents: Range) -> Iterator[None]:
        """Mark `documents` as being tagged; whoever takes too long with them is ended."""
        self._write(documents)
        if self._seconds is not None:
            # Ends the process from a thread that needs no Python, whatever the tagger hangs in.
            faulthandler.dump_traceback_later(self._seconds, exit=True, file=sys.__stderr__ or 2)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    def tagged(self) -> None:
        """Say that nothing is being tagged any more, where that could put blame on the last range."""
        if self._deaths:
            self._write(None)

    def _write(self, in_flight: Range | None) -> None:
        mark = _Mark(self.count, self._run, in_flight, self._deaths)
        self._ledger.write_json(self._mark, versioned(asdict(mark)))


def to_tag(length: int, deaths: Sequence[Range]) -> tuple[list[Range], list[int]]:
    """Return the ranges of a shard to tag, the most suspect first, and its culprits.

    `length` counts the shard's documents; `deaths` are the ranges in which workers died.
    Ranges and culprits together are the whole shard, each document once.
    """
    ranges: list[Range] = []
    culprits: list[int] = []
    left = [(0, length)] if length else []
    while left:
        first, last = left.pop()
        alone = last - first == 1
        # A machine may be taken away at any time: once is no proof.
        patience = _PATIENCE if alone or (first, last) == (0, length) else 1
        if deaths.count((first, last)) < patience:
            ranges.append((first, last))
        elif alone:
            culprits.append(first)
        else:
            half = (first + last) // 2
            left += [(half, last), (first, half)]
    return sorted(ranges, key=lambda documents: documents[1] - documents[0]), sorted(culprits)
