"""Which record decides about a document: the one with the highest version, and of those the last.

Records and mentions travel together: the mentions of a table stand in the order of its documents, as
many for each as its column `mentions` says.
"""

from __future__ import annotations

import io
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raybio.corpora.parquet import MENTION_SCHEMA, with_strings

Order: TypeAlias = "tuple[int, str, int]"
"""Version, shard and row: of two records of one document, the greater decides."""


@dataclass(frozen=True)
class Records:
    """Documents with their mentions; documents know their `shard` and `row`, once they are of one."""

    documents: pa.Table
    mentions: pa.Table

    @classmethod
    def read(cls, documents: bytes, mentions: bytes) -> Records:
        """Return the records in two Parquet files."""
        table = pq.read_table(io.BytesIO(mentions))
        kept = [name for name in table.schema.names if name not in MENTION_SCHEMA.names]
        return cls(pq.read_table(io.BytesIO(documents)), table.cast(with_strings(MENTION_SCHEMA, kept)))

    @property
    def belong_together(self) -> bool:
        """Whether there are as many mentions as the documents are said to have."""
        return int(self.documents["mentions"].to_numpy().sum()) == self.mentions.num_rows

    @property
    def fates(self) -> npt.NDArray[np.object_]:
        """The outcome of each document."""
        return np.array(self.documents["fate"].to_pylist(), dtype=object)

    def of_shard(self, shard: str) -> Records:
        """Return those that can decide, which rejected ones cannot, with their place in the shard."""
        rows = pa.array(np.arange(self.documents.num_rows, dtype=np.int32))
        names = pa.array([shard] * self.documents.num_rows, pa.string())
        placed = self.documents.append_column("shard", names).append_column("row", rows)
        return Records(placed, self.mentions).where(self.fates != "rejected")

    def where(self, kept: npt.NDArray[np.bool_]) -> Records:
        """Return the documents for which `kept` is true."""
        return self.take(np.flatnonzero(kept))

    def take(self, positions: npt.NDArray[np.int64]) -> Records:
        """Return the documents at `positions`, in that order."""
        counts = self.documents["mentions"].to_numpy()
        ends = np.cumsum(counts)
        # The mentions of document k are [ends[k] - counts[k], ends[k]).
        taken = counts[positions]
        offsets = np.repeat(ends[positions] - np.cumsum(taken), taken)
        mentions = offsets + np.arange(taken.sum(), dtype=np.int64)
        return Records(self.documents.take(pa.array(positions)), self.mentions.take(pa.array(mentions)))


def decisive(pieces: Iterable[Records]) -> Records:
    """Return the decisive record of each document, sorted by document; of equal ones the later."""
    held = list(pieces)
    documents = pa.concat_tables([piece.documents for piece in held])
    mentions = pa.concat_tables([piece.mentions for piece in held])
    arrivals = pa.array(np.arange(documents.num_rows))
    keys = [(name, "ascending") for name in ("document_id", "version", "shard", "row", "arrival")]
    order = pc.sort_indices(documents.append_column("arrival", arrivals), sort_keys=keys).to_numpy()
    ids = documents["document_id"].take(pa.array(order)).to_numpy(zero_copy_only=False)
    last = np.ones(len(ids), bool)
    last[:-1] = ids[:-1] != ids[1:]
    return Records(documents, mentions).take(order[last].astype(np.int64))


def order_of(records: Records) -> Iterator[tuple[str, Order]]:
    """Yield each document's id and what its record is compared by."""
    columns = (records.documents[name].to_pylist() for name in ("document_id", "version", "shard", "row"))
    for document, version, shard, row in zip(*columns, strict=True):
        yield document, (version, shard, row)


def standing(parts: Sequence[Callable[[], Iterable[Records]]]) -> Iterator[Records]:
    """Yield what stands of several parts, each with one record a document, a piece at a time, none deleted.

    All but the first are read twice, and their ids held. Among equals the later part's record decides.
    """
    best: dict[str, tuple[Order, int]] = {}
    for number, part in enumerate(parts[1:], start=1):
        for records in part():
            for document, order in order_of(records):
                if document not in best or order >= best[document][0]:
                    best[document] = (order, number)
    for number, part in enumerate(parts):
        for records in part():
            kept = []
            for document, order in order_of(records):
                other = best.get(document)
                if number == 0 and other is not None and order > other[0]:
                    other = best[document] = (order, 0)
                kept.append(other is None or other == (order, number))
            yield records.where(np.array(kept, bool) & (records.fates != "deleted"))


def spilled(sources: Iterable[Records], buckets: int) -> Iterator[list[Records]]:
    """Yield the records of `sources` by bucket, all of a document in one, each bucket in order of arrival.

    Only one bucket is held in memory; the others wait in a temporary folder.
    """
    if buckets == 1:
        yield list(sources)
        return
    with tempfile.TemporaryDirectory(prefix="raybio-") as folder:
        with ExitStack() as stack:
            spills = [_Spill(Path(folder, str(bucket)), stack) for bucket in range(buckets)]
            for records in sources:
                ids = records.documents["document_id"].to_pylist()
                bucket_of = np.fromiter((zlib.crc32(i.encode()) % buckets for i in ids), int, len(ids))
                for bucket, spill in enumerate(spills):
                    spill.add(records.where(bucket_of == bucket))
        for spill in spills:
            yield spill.read()


class _Spill:
    """One bucket's records on disk: pairs of tables, one after another."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._paths = (path.with_suffix(".documents"), path.with_suffix(".mentions"))
        self._stack = stack
        self._writers: list[pa.RecordBatchStreamWriter] = []

    def add(self, records: Records) -> None:
        if not records.documents.num_rows:
            return
        tables = (records.documents, records.mentions)
        if not self._writers:
            self._writers = [
                self._stack.enter_context(pa.ipc.new_stream(str(path), table.schema))
                for path, table in zip(self._paths, tables, strict=True)
            ]
        for writer, table in zip(self._writers, tables, strict=True):
            writer.write_table(table)

    def read(self) -> list[Records]:
        if not self._writers:
            return []
        documents, mentions = (self._table(path) for path in self._paths)
        return [Records(documents, mentions)]

    @staticmethod
    def _table(path: Path) -> pa.Table:
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
            return reader.read_all()
