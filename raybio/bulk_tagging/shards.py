"""Input files -> shards: fixed ranges of records, the unit of work and of commit.

A shard holds the next `size` records of a file in the file's own order, and fewer only where their
text is very long; so its name, and with it the names of its output files, depends on nothing but the
input.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from raybio.bulk_tagging.inputs import InputFile
from raybio.corpora import TABLES, format_named
from raybio.corpora.limits import MAX_RECORD_BYTES
from raybio.entities import Deletion, Document, Record, Rejected, Sentence
from raybio.errors import AccessError, ColumnsError, FormatError, InputError

logger = logging.getLogger(__name__)
_MAX_CHARACTERS = 32_000_000
"""After which a shard is full, however few its records: twenty times what a thousand abstracts have,
and with all its words some 600 MB of memory. Where shards end is what a resumed run relies on."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The records of one range of one file; `cut` has the documents' sentences, where that is done."""

    file: InputFile
    number: int
    documents: tuple[Document, ...]
    rejected: tuple[Rejected, ...]
    deletions: tuple[Deletion, ...]
    cut: tuple[tuple[Sentence, ...] | None, ...] = ()

    @property
    def name(self) -> str:
        """The shard's name, and the stem of its output files."""
        return f"{self.file.key}-{self.number:05d}"


@dataclass(frozen=True, slots=True)
class Unread:
    """Says that a file was not read to its end for a reason that may pass: the next run reads it again."""

    key: str
    error: AccessError


@dataclass(frozen=True, slots=True)
class EndOfFile:
    """Says that a file was read to its end, or to what ended it early, and how many shards it has."""

    key: str
    shards: int
    error: InputError | None = None

    @property
    def broken(self) -> bool:
        """Whether the file could not be read to its end; `error` says why."""
        return self.error is not None


def check_columns(files: Iterable[InputFile]) -> None:
    """Refuse columns that the first of the tables does not have, before a cluster is started for it.

    Raises:
        ColumnsError: says which there are.
    """
    for file in files:
        if file.format in TABLES:
            first = next(_records(file, MAX_RECORD_BYTES), None)
            if isinstance(first, ColumnsError):
                raise first
            return


def read_shards(
    file: InputFile, size: int, done: Collection[int], max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Shard | EndOfFile | Unread]:
    """Yield the file's shards of at most `size` records that are not in `done`, then its EndOfFile.

    A record larger than `max_record_bytes` is rejected. A fault after which nothing can be read ends the
    file early: it is a rejected record of the last shard, and the end has it as its `error`. A fault that
    lies outside the file says nothing of what it
    holds: then the last item is Unread. Deletion notices travel in the shard they stand in.
    """
    number, held, ended = 0, _Held(), None
    for record in _records(file, max_record_bytes):
        if isinstance(record, AccessError):
            yield Unread(file.key, record)
            return
        if held.records == size or held.characters >= _MAX_CHARACTERS:
            if number not in done:
                yield held.shard(file, number)
            number, held = number + 1, _Held()
        if isinstance(record, InputError):
            ended = record
            held.add(Rejected(file.path, record.place, record.problem, record.remedy))
        else:
            held.add(record)
    if held.records or held.deletions:
        if number not in done:
            yield held.shard(file, number)
        number += 1
    if max(done, default=-1) >= number:
        problem = "it ended earlier than when it was read before, though its name, size and ends are the same"
        yield Unread(file.key, AccessError(file.path, "", problem, "Check that it arrives whole"))
    else:
        yield EndOfFile(file.key, number, ended)


def _records(file: InputFile, max_record_bytes: int) -> Iterator[Record | InputError]:
    """Yield a file's records, and last of all the error that ended the reading, if one did."""
    count = 0
    try:
        columns = {} if file.columns is None else {"columns": file.columns}
        entry = format_named(file.format)
        for record in entry.read_path(file.path, max_record_bytes=max_record_bytes, **columns):
            count += 1
            yield record
    except InputError as error:
        yield error
    except OSError as error:
        yield AccessError(file.path, "", f"reading broke off ({error})", "Check the disk or the network")
    except Exception as error:  # a fault of a reader's: raised on, it would take all of the file with it
        logger.exception("the reader of %s failed after record %d", file.path, count)
        problem = f"the reader failed ({type(error).__name__}: {error})"
        yield FormatError(file.path, f"after record {count}", problem, "Take that record out, and report it")


class _Held:
    """The records of a shard that is being read."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.rejected: list[Rejected] = []
        self.deletions: list[Deletion] = []
        self.characters = 0

    @property
    def records(self) -> int:
        return len(self.documents) + len(self.rejected)

    def add(self, record: Record) -> None:
        if isinstance(record, Document):
            self.documents.append(record)
            self.characters += len(record.text)
        elif isinstance(record, Rejected):
            self.rejected.append(record)
            self.characters += len(record.raw)
        else:
            self.deletions.append(record)

    def shard(self, file: InputFile, number: int) -> Shard:
        return Shard(file, number, tuple(self.documents), tuple(self.rejected), tuple(self.deletions))
