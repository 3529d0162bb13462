"""Tagged baseline and update files -> one current set: the latest of each document, the deleted gone.

What decides about a document is its record with the highest version, and among those the last one: files
in order of their keys, records in their own order. A deletion notice is such a record; a rejected
one is not, so a revision that could not be read leaves what was known before.

    compaction/00007.json                    the provenance, the files that are in, and the parts
    documents/00007-000-1a2b3c4d.parquet     the records that decided, one a document, sorted by document
    mentions/00007-000-1a2b3c4d.parquet      their mentions, in the same order

New files become a part of their own, with the smaller parts before it folded in: a part holds at
least twice what comes after it. So an update costs itself and, now and then, the updates before it; the
baseline is left alone until as much has come as half of it. `current` reads the parts as one.

The state with the highest number is the set. A run that continues from state 6 writes its parts, under names
that no other run takes, and then state 7, which of several runs at once one can; the others are asked to
begin again. So no update is lost, and nobody waits for a run that was killed.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from raybio.bulk_tagging.decisive import Records, decisive, spilled, standing
from raybio.bulk_tagging.ledger import Ledger, ShardEntry, key_of
from raybio.bulk_tagging.output_folder import OutputFolder
from raybio.bulk_tagging.provenance import Provenance
from raybio.errors import CommitError, UsageError
from raybio.run_folder import PROVENANCE_FILES
from raybio.versioned import versioned

_BUCKET_DOCUMENTS = 500_000
_TABLES = ("documents", "mentions")
_STATE = re.compile(r"(?P<number>\d{5,})\.json")
# Unlike a shard's name, which ends in five digits, even of a key that is a number.
_OURS = re.compile(r"(?P<number>\d{5,})-\d{3,4}-[0-9a-f]{8}\.parquet")


@dataclass(frozen=True)
class Part:
    """Records that were compacted together: `names` of its files in documents/ and mentions/."""

    names: list[str]
    documents: int


@dataclass(frozen=True)
class _State:
    """What the set is made of: input files, each with its stamp, and parts; of number 0, nothing yet."""

    number: int = 0
    provenance: str = ""
    files: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    making: str = ""  # what sets of before call their provenance

    def holds(self, other: _State) -> bool:
        """Say whether all that is in `other` is in this one too, in the same parts."""
        parts = all(part in self.parts for part in other.parts)
        return parts and other.files.items() <= self.files.items()


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
            it cannot be written; or another compaction came first; or a table is not as it was written.
    """
    ledger, target = Ledger(output), OutputFolder(folder)
    provenance = ledger.provenance()
    if provenance is None:
        raise UsageError(f"{output} is no tagged output: nothing says what made it")
    before = _latest(target)
    _refuse_foreign(target, before, provenance)
    finished = ledger.finished()
    new = sorted(name for name, stamp in finished.items() if before.files.get(name) != stamp)
    _refuse_changed(folder, before.files, new)
    records = sum(entry.documents + entry.deleted for name in new for entry in ledger.shards_of(name))
    kept, folded = _split(before.parts, records, fold)
    merge = _Merge(ledger, target, before.number + 1)
    written = merge.write(new, folded, records) if records or folded else []
    files = before.files | {name: finished[name] for name in new}
    after = _State(before.number + 1, provenance.identity, files, [*kept, *written])
    if new or folded:
        _succeed(target, after)
    return Compacted(
        folder=folder,
        files=len(after.files),
        new=len(new),
        left=len(set(ledger.keys()) - {key_of(name) for name in finished}),
        parts=len(after.parts),
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
        CommitError: a compaction removed what was to be read; or a table is not as it was written.
    """
    source = OutputFolder(folder)
    state = _latest(source)
    if not state.number:
        raise UsageError(f"{folder} holds no current set. Make one with raybio compact")
    for records in standing([partial(_records, source, part) for part in state.parts]):
        yield records.documents.drop_columns(["shard", "row"]), records.mentions


class _Merge:
    """Makes a part of the shards of new files and of parts that are folded in."""

    def __init__(self, ledger: Ledger, target: OutputFolder, number: int) -> None:
        self._ledger = ledger
        self._target = target
        self._number = number
        self._run = uuid.uuid4().hex[:8]
        self.files_read = 0

    def write(self, new: Sequence[str], folded: Sequence[Part], records: int) -> list[Part]:
        """Write the part, if anything is in it; in memory is one bucket of what goes in."""
        records += sum(part.documents for part in folded)
        names, documents = [], 0
        for bucket, held in enumerate(spilled(self._sources(new, folded), -(-records // _BUCKET_DOCUMENTS))):
            if held:
                kept = decisive(held)
                names.append(f"{self._number:05d}-{bucket:03d}-{self._run}.parquet")
                self._put(f"documents/{names[-1]}", kept.documents)
                self._put(f"mentions/{names[-1]}", kept.mentions)
                documents += kept.documents.num_rows
        return [Part(names, documents)] if names else []

    def _sources(self, new: Sequence[str], folded: Sequence[Part]) -> Iterator[Records]:
        """Yield records from the oldest part to the newest file: among equals the later one stands."""
        for part in folded:
            for records in _records(self._target, part):
                self.files_read += 2
                yield records
        for name in new:
            for entry in self._ledger.shards_of(name):
                self.files_read += 2
                yield _tagged(self._ledger, name, entry).of_shard(entry.shard)

    def _put(self, name: str, table: pa.Table) -> None:
        with self._target.writing(name) as stream:
            pq.write_table(table, stream, compression="zstd")


def _tagged(ledger: Ledger, file: str, entry: ShardEntry) -> Records:
    """Return what a shard of `file` holds; two runs may each have written one of its tables."""
    contents = []
    for path in (f"{table}/{entry.shard}.parquet" for table in _TABLES):
        try:
            contents.append(ledger.read_bytes(path))
        except FileNotFoundError:
            contents.append(b"")
        if hashlib.sha256(contents[-1]).hexdigest() != entry.files[path]["sha256"]:
            raise CommitError(
                f"{ledger.output}/{path} is not what was committed, so its mentions might be of other "
                f"documents. Let the tagging that is under way end, if one is; otherwise remove ledger/{file}"
                ".json there and run the tagging again. Then run the same command again"
            )
    return Records.read(*contents)


def _records(folder: OutputFolder, part: Part) -> Iterator[Records]:
    for name in part.names:
        try:
            records = Records.read(*(folder.read_bytes(f"{table}/{name}") for table in _TABLES))
        except FileNotFoundError as error:
            raise CommitError(
                f"{folder.output}: {name} is gone. If another compaction came first, run the same command "
                "again; otherwise remove the folder, and compact all of it again"
            ) from error
        if not records.belong_together:
            raise CommitError(
                f"{folder.output}: documents/{name} and mentions/{name} do not belong together. Remove "
                "the folder, and compact all of it again"
            )
        yield records


def _refuse_foreign(target: OutputFolder, before: _State, provenance: Provenance) -> None:
    """Refuse a set of another provenance, and a folder that is not a set's alone."""
    if any(target.read_json(name) is not None for name in PROVENANCE_FILES):
        raise UsageError(
            f"{target.output} is a tagged output, not a place for a current set. Choose another folder"
        )
    if before.number and before.provenance != provenance.identity:
        raise CommitError(
            f"{target.output} holds the current set of another model or config. Choose another folder"
        )
    for path in (f"{table}/{name}" for table in _TABLES for name in target.names(table)):
        if not _OURS.fullmatch(path.partition("/")[2]):
            problem = "is of no current set, and would be read with it. Choose another folder"
            raise UsageError(f"{target.output}/{path} {problem}")


def _latest(folder: OutputFolder) -> _State:
    """Return the state with the highest number."""
    while numbers := _states(folder):
        held = folder.read_record(_path(max(numbers)), _State)
        # Unless others came after it and removed it.
        if held is not None:
            return replace(held, number=max(numbers), provenance=held.provenance or held.making)
    return _State()


def _states(folder: OutputFolder) -> list[int]:
    return [int(name["number"]) for name in map(_STATE.fullmatch, folder.names("compaction")) if name]


def _path(number: int) -> str:
    return f"compaction/{number:05d}.json"


def _succeed(target: OutputFolder, state: _State) -> None:
    """Make `state` the one that follows the state before it, unless another run has made that already."""
    parts = [asdict(part) for part in state.parts]
    held = {"provenance": state.provenance, "files": state.files, "parts": parts}
    target.create_json(_path(state.number), versioned(held))
    # What is there now decides. A slow run can create a number that others made, passed and removed; and
    # an upload that is tried again finds itself.
    latest = _latest(target)
    _remove_unused(target, latest)
    if not latest.holds(state):
        raise CommitError(f"{target.output}: another compaction came first. Run the same command again")


def _remove_unused(target: OutputFolder, latest: _State) -> None:
    """Remove what earlier states had, and what runs left that were killed or came too late.

    Parts with a higher number stay: a run that continues from `latest` may be writing them.
    """
    wanted = {name for part in latest.parts for name in part.names}
    for table in _TABLES:
        for name in target.names(table):
            ours = _OURS.fullmatch(name)
            if ours and int(ours["number"]) <= latest.number and name not in wanted:
                target.remove(f"{table}/{name}")
    for number in _states(target):
        if number < latest.number - 1:
            target.remove(_path(number))


def _refuse_changed(folder: str, files: dict[str, str], new: Sequence[str]) -> None:
    """Refuse files of which another content is in the set: nothing says which of it is gone."""
    before = {key_of(name): name for name in files}
    for name in new:
        key = key_of(name)
        if before.get(key, name) != name:
            raise CommitError(
                f"{folder}: the input file {key} has changed since it was compacted. Remove the folder, or "
                "choose another, and compact all of it again"
            )
