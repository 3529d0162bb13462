"""Corpora in and out: one table of formats, one way to read, one way to write.

`read_corpus` yields Documents whatever the format; records that cannot be read go to
`on_rejected`, or end the reading with an error that says where and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from raybio.corpora.recognition import files_of, format_inside, format_of, input_format
from raybio.corpora.registry import TABLES, Format, format_named, formats
from raybio.corpora.standoff import cannot_hold
from raybio.entities import Deletion, Document, Record, Rejected
from raybio.errors import FormatError, InputError, UsageError

__all__ = [
    "TABLES",
    "Format",
    "format_inside",
    "format_named",
    "format_of",
    "formats",
    "input_format",
    "read_corpus",
    "read_records",
    "write_corpus",
]


def read_corpus(
    path: str,
    format: str | None = None,
    on_rejected: Callable[[Rejected], None] | None = None,
    on_deletion: Callable[[Deletion], None] | None = None,
    **options: Any,
) -> Iterator[Document]:
    """Yield the documents of a file, folder or URL.

    `format` is a name in `formats()`; None asks `input_format`. A record that cannot be read is
    passed to `on_rejected` and reading continues; without `on_rejected` it is raised. Deletion
    notices are passed to `on_deletion`, if given. `options` are the reader's own (iob2:
    `repair`, `labels`; chemprot: `protocol`; those of `TABLES`: `columns`; all: `max_record_bytes`).

    Raises:
        UsageError: the format is unknown or cannot be read (at the call, before any reading).
        InputError: nothing more can be read, or a record was rejected and nobody asked for it.
    """
    chosen = format_named(format or input_format(path, options.get("columns")))
    if not chosen.can_read:
        raise UsageError(f"{chosen.name} can be written but not read")
    return _documents(read_records(path, chosen, **options), on_rejected, on_deletion)


def read_records(path: str, chosen: Format, **options: Any) -> Iterator[Record]:
    """Yield the records of a file, folder or URL, rejected ones among them; `options` go to the reader.

    A folder of files in the format is read file by file, in order of their names.

    Raises:
        InputError: nothing more can be read.
    """
    for file in files_of(path, chosen):
        yield from chosen.read_path(file, **options)


def write_corpus(
    documents: Iterable[Document],
    path: str,
    format: str | None = None,
    on_rejected: Callable[[Rejected], None] | None = None,
) -> None:
    """Write `documents` to a file, folder or URL; a file appears only when it is complete.

    A document that the format cannot hold is passed to `on_rejected`, if given, and the others are written.

    Raises:
        UsageError: the format is unknown or cannot be written.
        FormatError: a document holds what the format cannot, and nobody asked for it.
    """
    chosen = format_named(format or format_of(path))
    if not chosen.can_write:
        raise UsageError(f"{chosen.name} can be read but not written")
    chosen.write_path(_held(documents, chosen, path, on_rejected) if on_rejected else documents, path)


def _held(
    documents: Iterable[Document], chosen: Format, path: str, on_rejected: Callable[[Rejected], None]
) -> Iterator[Document]:
    """Yield the documents that a format can hold."""
    from raybio.corpora.jsonl import document_to_json

    seen: set[str] = set()
    for document in documents:
        try:
            chosen.check(document)
            if chosen.unique_ids and document.id in seen:
                remedy = "Give each document an id of its own"
                raise cannot_hold(chosen.name, document, "a second document of one id", remedy)
        except InputError as error:
            try:
                raw = document_to_json(document)
            except FormatError:  # no format could hold it
                raw = repr(document)
            place = f"document {document.id}"
            on_rejected(Rejected(path, place, error.problem, error.remedy, document.id, raw))
        else:
            seen |= {document.id} if chosen.unique_ids else set()
            yield document


def _documents(
    records: Iterable[Record],
    on_rejected: Callable[[Rejected], None] | None,
    on_deletion: Callable[[Deletion], None] | None,
) -> Iterator[Document]:
    for record in records:
        if isinstance(record, Document):
            yield record
        elif isinstance(record, Deletion):
            if on_deletion:
                on_deletion(record)
        elif on_rejected:
            on_rejected(record)
        else:
            raise FormatError(record.source, record.place, record.reason, record.remedy)
