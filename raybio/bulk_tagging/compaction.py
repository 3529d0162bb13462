"""Tagged baseline and update files -> one current set: the latest of each document, the deleted gone.

What decides about a document is its record with the highest version, and among those the last one: files
in order of their keys, records in their own order. A deletion notice is such a record; a rejected
one is not, so a revision that could not be read leaves what was known before.

    compaction.json                 the making, the files that are in, and the parts
    documents/00001-000.parquet     the records that decided, one a document, sorted by document
    mentions/00001-000.parquet      their mentions, in the same order

New files become a part of their own, with the smaller parts before it folded in: a part holds at
least twice what comes after it. So an update costs itself and, now and then, the updates before it; the
baseline is left alone until as much has come as half of it. `current` reads the parts as one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raybio.bulk_tagging.commit import RECORD_SCHEMA
from raybio.bulk_tagging.decisive import Order, Records, decisive, order_of, spilled
from raybio.bulk_tagging.ledger import MAKING, Ledger, Making, key_of
from raybio.bulk_tagging.output_folder import OutputFolder
from raybio.corpora.parquet import MENTION_SCHEMA
from raybio.errors import CommitError, UsageError

_STATE = "compaction.json"
_BUCKET_DOCUMENTS = 500_000
_TABLES = ("documents", "mentions")
# Unlike a shard's name, even of a key that is a number.
_OURS = re.compile(r"\d{5,}-\d{3,4}\.parquet")


@dataclass(frozen=True)
class Part:
    """Records that were compacted together: `names` of its files in documents/ and mentions/."""

    number: int
    names: list[str]
    documents: int


@dataclass(frozen=True)
class Compacted:
    """What a compaction did: `files` input files in the set now, of which `new`; `left` are not finished.

    `files_read` and `files_written` count Parquet files.
    """

    folder: str
    files: int
    new: int
    left: int
    parts: int
    files_read: int
    files_written: int


def compact(output: str, folder: str, fold: bool = False) -> Compacted:
    """Bring the current set in `folder` up to date with the finished files of the tagged `output`.

    With `fold` all parts become one, so that its files can be read as they are.

    Raises:
        UsageError: nothing was tagged in `output`; or `folder` is a tagged output itself, or holds
            tables that no compaction wrote.
        CommitError: `folder` holds the set of another output, or of other contents of its files; or
            it cannot be written.
    """
    ledger, target = Ledger(output), OutputFolder(folder)
    making = ledger.making()
    if making is None:
        raise UsageError(f"{output} is no tagged output: nothing says what made it")
    _refuse_foreign(target)
    files, parts = _state(target, making)
    finished = ledger.finished()
    new = sorted(name for name, stamp in finished.items() if files.get(name) != stamp)
    _refuse_changed(folder, files, new)
    records = sum(entry.documents + entry.deleted for name in new for entry in ledger.shards_of(name))
    kept, folded = _split(parts, records, fold)
    merge = _Merge(ledger, target, 1 + max((part.number for part in parts), default=0))
    written = merge.write(new, folded, records) if records or folded else []
    now = [*kept, *written]
    files |= {name: finished[name] for name in new}
    target.write_json(
        _STATE, {"making": making.identity, "files": files, "parts": [asdict(part) for part in now]}
    )
    _remove_others(target, now)
    return Compacted(
        folder=folder,
        files=len(files),
        new=len(new),
        left=len(set(ledger.keys()) - {key_of(name) for name in finished}),
        parts=len(now),
        files_read=merge.files_read,
        files_written=2 * sum(len(part.names) for part in written),
    )


def _split(parts: Sequence[Part], records: int, fold: bool) -> tuple[list[Part], list[Part]]:
    """Return the parts that stay as they are, and those to fold in with `records` new records."""
    if fold:
        return ([], list(parts)) if records or len(parts) > 1 else (list(parts), [])
    first = len(parts)
    while first and records and parts[first - 1].documents < 2 * records:
        first -= 1
        records += parts[first].documents
    return list(parts[:first]), list(parts[first:])


def current(folder: str) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield the current set, a piece at a time: documents (none deleted), and their mentions.

    Holds the ids of all parts but the first and largest.

    Raises:
        UsageError: there is no current set in `folder`.
    """
    source = OutputFolder(folder)
    state = source.read_json(_STATE)
    if state is None:
        raise UsageError(f"{folder} holds no current set. Make one with raybio compact")
    parts = [Part(**part) for part in state["parts"]]
    best: dict[str, tuple[Order, int]] = {}
    for number, part in enumerate(parts[1:], start=1):
        for records in _records(source, part):
            for document, order in order_of(records):
                if document not in best or order >= best[document][0]:
                    best[document] = (order, number)
    for number, part in enumerate(parts):
        for records in _records(source, part):
            kept = []
            for document, order in order_of(records):
                other = best.get(document)
                if number == 0 and other is not None and order > other[0]:
                    other = best[document] = (order, 0)
                kept.append(other is None or other == (order, number))
            piece = records.where(np.array(kept, bool) & (records.fates != "deleted"))
            yield piece.documents.select(RECORD_SCHEMA.names), piece.mentions


class _Merge:
    """Makes a part of the shards of new files and of parts that are folded in."""

    def __init__(self, ledger: Ledger, target: OutputFolder, number: int) -> None:
        self._ledger = ledger
        self._target = target
        self._number = number
        self.files_read = 0

    def write(self, new: Sequence[str], folded: Sequence[Part], records: int) -> list[Part]:
        """Write the part, if anything is in it; in memory is one bucket of what goes in."""
        records += sum(part.documents for part in folded)
        names, documents = [], 0
        for bucket, held in enumerate(spilled(self._sources(new, folded), -(-records // _BUCKET_DOCUMENTS))):
            if held:
                kept = decisive(held)
                names.append(f"{self._number:05d}-{bucket:03d}.parquet")
                self._put(f"documents/{names[-1]}", kept.documents)
                self._put(f"mentions/{names[-1]}", kept.mentions)
                documents += kept.documents.num_rows
        return [Part(self._number, names, documents)] if names else []

    def _sources(self, new: Sequence[str], folded: Sequence[Part]) -> Iterator[Records]:
        """Yield records from the oldest part to the newest file: among equals the later one stands."""
        for part in folded:
            for records in _records(self._target, part):
                self.files_read += 2
                yield records
        for name in new:
            for entry in self._ledger.shards_of(name):
                self.files_read += 2
                yield _read(self._ledger, f"{entry.shard}.parquet").of_shard(entry.shard)

    def _put(self, name: str, table: pa.Table) -> None:
        with self._target.writing(name) as stream:
            pq.write_table(table, stream, compression="zstd")


def _records(folder: OutputFolder, part: Part) -> Iterator[Records]:
    for name in part.names:
        yield _read(folder, name)


def _read(folder: OutputFolder, name: str) -> Records:
    tables = (pq.read_table(io.BytesIO(folder.read_bytes(f"{t}/{name}"))) for t in _TABLES)
    documents, mentions = tables
    return Records(documents, mentions.cast(MENTION_SCHEMA))


def _refuse_foreign(target: OutputFolder) -> None:
    """Refuse a folder that is not the set's alone: what is not of the set would be removed from it."""
    if target.read_json(MAKING) is not None:
        raise UsageError(
            f"{target.output} is a tagged output, not a place for a current set. Choose another folder"
        )
    for table in _TABLES:
        for name in target.names(table):
            if not _OURS.fullmatch(name):
                raise UsageError(
                    f"{target.output}/{table}/{name} is of no current set, and would be removed. Choose "
                    "another folder"
                )


def _state(target: OutputFolder, making: Making) -> tuple[dict[str, str], list[Part]]:
    state = target.read_json(_STATE)
    if state is None:
        return {}, []
    if state["making"] != making.identity:
        raise CommitError(
            f"{target.output} holds the current set of another model or config. Choose another folder"
        )
    return state["files"], [Part(**part) for part in state["parts"]]


def _refuse_changed(folder: str, files: dict[str, str], new: Sequence[str]) -> None:
    """Refuse files of which another content is in the set: nothing says which of it is gone."""
    before = {key_of(name): name for name in files}
    for name in new:
        key = key_of(name)
        if before.get(key, name) != name:
            raise CommitError(
                f"{folder}: the input file {key} has changed since it was compacted. Remove the folder, or "
                "choose another, and compact all of it anew"
            )


def _remove_others(target: OutputFolder, parts: Sequence[Part]) -> None:
    """Remove what earlier states had, and what a compaction that was killed left."""
    wanted = {name for part in parts for name in part.names}
    for table in _TABLES:
        for name in target.names(table):
            if name not in wanted:
                target.remove(f"{table}/{name}")
