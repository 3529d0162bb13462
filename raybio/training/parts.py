"""A train split that is too large for every worker to read all of it: each reads a part of its own.

Rows are dealt out like cards, so that each has one reader, none is dropped, and the parts end within a step
or two of each other. Ray Data's own split either drops rows or gives them to whoever asks first: no seed
decides then who learns what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from raybio.members import Member

MAX_READ_BY_ALL = 200_000
"""Sentences of a train split that every worker still reads as a whole: batches then do not depend on the
number of workers. Of more, all would spend long on what each needs a part of."""


@dataclass(frozen=True, slots=True)
class TrainRows:
    """The rows of a train split, which `tables` yields anew for each epoch, and how many there are."""

    tables: Callable[[], Iterator[pa.Table]]
    count: int


@dataclass(frozen=True, slots=True)
class Part:
    """What the worker of this `rank` among `world` has of a split, which learns `batch_size` rows a step."""

    rank: int
    world: int
    batch_size: int

    @property
    def split(self) -> str:
        """What Ray Train calls it."""
        return f"train-{self.rank}"

    def of(self, count: int) -> int:
        """Return how many of `count` rows are its own: of `batch_size`, as many as it learns in a step."""
        whole, rest = divmod(count, self.batch_size)
        of_batch, of_rest = (len(range(self.rank, rows, self.world)) for rows in (self.batch_size, rest))
        return whole * of_batch + of_rest

    def of_member(self, member: Member) -> Member:
        """Return a corpus as it has it: over all parts, an epoch draws of it what it draws of the whole."""
        if not member.sentences:
            return member
        times, more = divmod(member.draws, member.sentences)
        own = self.of(member.sentences)
        return replace(member, sentences=own, draws=times * own + self.of(more))

    def rows(self, tables: Callable[[], Iterable[pa.Table]]) -> Iterator[pa.Table]:
        """Yield its rows of those that `tables` yields; of each corpus they are as many as `of` says."""
        seen: Counter[int | None] = Counter()
        for table in tables():
            members = table["member"].to_pylist() if "member" in table.column_names else [None] * len(table)
            own = []
            for member in members:
                own.append(seen[member] % self.batch_size % self.world == self.rank)
                seen[member] += 1
            yield table.filter(pa.array(own, pa.bool_()))
