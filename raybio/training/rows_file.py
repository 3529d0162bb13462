"""Rows that a run learns from, kept in its folder: written whole once, read again in every epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raybio.storage import write_whole

_BLOCK_ROWS = 512


def write_rows(tables: Iterable[pa.Table], path: Path, schema: pa.Schema) -> int:
    """Write rows into a file that appears only when it is complete; return how many there are."""
    count = 0
    with write_whole(path) as stream, pq.ParquetWriter(stream, schema) as writer:
        for table in tables:
            writer.write_table(table.cast(schema))
            count += len(table)
    return count


def count_rows(path: Path) -> int:
    """Return how many rows a file has."""
    return int(pq.read_metadata(path).num_rows)


def read_rows(path: Path) -> Iterator[pa.Table]:
    """Yield a file's rows in order, some at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BLOCK_ROWS):
            yield pa.Table.from_batches([batch])


def read_share(path: Path, share: float, *, held_out: bool) -> Iterator[pa.Table]:
    """Yield the rows of a file that are held out, a share of them at even distances, or the others."""
    first = 0
    for table in read_rows(path):
        counts = [int(row * share) for row in range(first, first + len(table) + 1)]
        first += len(table)
        yield table.filter(pa.array([(after > before) == held_out for before, after in pairwise(counts)]))
