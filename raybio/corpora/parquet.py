"""The "parquet" format: a table of documents, lossless; and the table of mentions that bulk tagging writes.

A documents table (`DOCUMENT_SCHEMA`) has a row for each Document with all its parts nested,
and says so in the schema's metadata: {"raybio.format": "documents"}. A column other than `id`
and `text` may be missing: its field has the default then. Any other Parquet file is a table of which
`table` says which column is what.

A mentions table (`MENTION_SCHEMA`) has a row for each mention. It is made for queries, not
for reading back: the text around the mentions is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raybio.corpora.arrow_table import ROWS, ReadRow, reader_of, records
from raybio.corpora.checks import fault_of
from raybio.corpora.csv_table import kept_name, kept_value, passage_at
from raybio.corpora.limits import MAX_RECORD_BYTES, too_large_error
from raybio.corpora.opening import no_records, open_remote, refuse_special, write_bytes
from raybio.corpora.parquet_rows import document_of, fits, row_of
from raybio.corpora.table import Columns
from raybio.entities import Document, Record
from raybio.errors import AccessError, FormatError
from raybio.filesystems import is_url

ROW_GROUP = 1_000
"""Documents of a row group that is written."""

_DENSE = 100
"""Times smaller than its data that a row group is only where most of them repeat: it is read row by row."""

_MAX_UNPACKED = 1 << 30
"""Bytes to which so dense a row group may unpack."""

_FORMAT_KEY = b"raybio.format"
_PLACE = ("passage", "passage_label")


def _list_of(**columns: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct(list(columns.items())))


_INTS = pa.list_(pa.int32())
_STRINGS = pa.list_(pa.string())

_DOCUMENT_COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "version": pa.int32(),
    "text": pa.string(),
    "passages": _list_of(
        start=pa.int32(),
        end=pa.int32(),
        kind=pa.string(),
        label=pa.string(),
        language=pa.string(),
        infons=pa.string(),
    ),
    "mentions": _list_of(
        start=pa.int32(),
        end=pa.int32(),
        label=pa.string(),
        text=pa.string(),
        score=pa.float64(),
        concept=pa.string(),
        id=pa.string(),
        infons=pa.string(),
    ),
    "sentences": _list_of(
        id=pa.string(),
        words=_STRINGS,
        starts=_INTS,
        document_id=pa.string(),
        gold=_list_of(start=pa.int32(), end=pa.int32(), label=pa.string()),
    ),
    "relations": _list_of(
        label=pa.string(),
        arguments=_list_of(role=pa.string(), reference=pa.string()),
        id=pa.string(),
        infons=pa.string(),
    ),
    # An attribute is one string or several: `value` is null where `values` is not.
    "attributes": _list_of(name=pa.string(), value=pa.string(), values=_STRINGS),
    "extra": pa.string(),
}
DOCUMENT_SCHEMA = pa.schema(_DOCUMENT_COLUMNS, metadata={_FORMAT_KEY: b"documents"})
"""A row for each Document, with the fields of `raybio.entities`; null mentions or gold: not annotated.

`infons` and `extra`, which are of any shape, are JSON, and "" where there are none."""

_MENTION_COLUMNS: dict[str, pa.DataType] = {
    "document_id": pa.string(),
    "version": pa.int32(),
    "passage": pa.string(),
    "passage_label": pa.string(),
    "start": pa.int32(),
    "end": pa.int32(),
    "text": pa.string(),
    "label": pa.string(),
    "score": pa.float32(),
    "concept": pa.string(),
    "model": pa.string(),
    "config_hash": pa.string(),
}
MENTION_SCHEMA = pa.schema(_MENTION_COLUMNS, metadata={_FORMAT_KEY: b"mentions"})
"""A row for each mention: `passage` is the kind of the passage it starts in ("" where in none),
`start` and `end` its characters `[start, end)` in the document's text, `score` null where unknown."""


def mention_table(
    documents: Iterable[Document], model: str = "", config_hash: str = "", keep: Sequence[str] = ()
) -> pa.Table:
    """Return a `MENTION_SCHEMA` table of all mentions of `documents`, in order.

    It has a column more for each attribute of the documents that `keep` names.
    """
    rows = [
        {
            "document_id": document.id,
            "version": document.version,
            **dict(zip(_PLACE, passage_at(document.passages, mention.start), strict=True)),
            "start": mention.start,
            "end": mention.end,
            "text": mention.text,
            "label": mention.label,
            "score": mention.score,
            "concept": mention.concept,
            "model": model,
            "config_hash": config_hash,
            **{kept_name(name): kept_value(document, name) for name in keep},
        }
        for document in documents
        for mention in document.mentions or ()
    ]
    return pa.Table.from_pylist(rows, schema=with_strings(MENTION_SCHEMA, map(kept_name, keep)))


def with_strings(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Return `schema` with a column of strings more for each of `names`."""
    for name in names:
        schema = schema.append(pa.field(name, pa.string()))
    return schema


def document_table(documents: Iterable[Document]) -> pa.Table:
    """Return a `DOCUMENT_SCHEMA` table of `documents`.

    Raises:
        FormatError: a document breaks its own promises, or holds a lone surrogate.
    """
    rows = [_checked_row(document) for document in documents]
    try:
        return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)
    except UnicodeEncodeError as error:
        remedy = "Replace lone surrogates (half a character) in its strings"
        raise FormatError("documents", "", f"cannot be written as UTF-8 ({error})", remedy) from error


def check(document: Document) -> None:
    """Refuse a document that cannot be a row.

    Raises:
        FormatError: it breaks its own promises, or holds a lone surrogate.
    """
    document_table([document])


def write_path(documents: Iterable[Document], path: str) -> None:
    """Write a documents table to a local path or URL, a row group at a time.

    Raises:
        FormatError: a document breaks its own promises, or holds a lone surrogate.
    """
    with write_bytes(path) as stream, pq.ParquetWriter(stream, DOCUMENT_SCHEMA) as writer:
        remaining = iter(documents)
        while group := list(islice(remaining, ROW_GROUP)):
            writer.write_table(document_table(group))


def read_path(
    path: str, max_record_bytes: int = MAX_RECORD_BYTES, columns: Columns | None = None
) -> Iterator[Record]:
    """Yield the documents of a Parquet file at a path or URL; a row at fault, or too large, is Rejected.

    `columns` makes a table of any file, of raybio's own documents too.

    Raises:
        AccessError: the file cannot be opened, or its place breaks off.
        FormatError: it is not Parquet, has no rows, lacks the columns or has them of other types, or its
            data are broken (the rows before have been yielded).
    """
    number = 0
    with _open_table(path) as table:
        schema = table.schema_arrow
        ours = (schema.metadata or {}).get(_FORMAT_KEY) == b"documents"
        if ours and not (columns and (columns.text or columns.id)):
            needed = _columns_of_ours(schema, path)
            read_row: ReadRow = lambda row, _: document_of(row)  # noqa: E731
        else:
            reader = reader_of(schema, columns, path)
            needed, read_row = reader.columns, reader.document
        try:
            batches = _batches(table, needed, path, max_record_bytes)
            for record in records(batches, read_row, path, max_record_bytes):
                number += 1
                yield record
        except (pa.ArrowException, OSError) as error:
            # Arrow says OSError of damaged data too; only a fault of the place has a number, or a URL.
            if isinstance(error, OSError) and (error.errno or is_url(path)):
                raise
            place = f"after row {number}" if number else "before the first row"
            problem = f"the Parquet data are broken ({error})"
            raise FormatError(path, place, problem, "Fetch or write the file again") from error
    if not number:
        raise no_records(path, "row")


def _batches(
    table: pq.ParquetFile, columns: list[str], path: str, max_record_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows a few at a time, or one, where each may be many times larger than it is in the file."""
    for group in range(table.num_row_groups):
        found = table.metadata.row_group(group)
        packed = sum(found.column(i).total_compressed_size for i in range(found.num_columns))
        dense = found.total_byte_size > max(_DENSE * packed, max_record_bytes // ROWS)
        if dense and found.total_byte_size > _MAX_UNPACKED:
            what = f"row group {group + 1}, whose {packed:,} bytes unpack to {found.total_byte_size:,},"
            raise too_large_error(path, "", what, max_record_bytes)
        yield from table.iter_batches(1 if dense else ROWS, row_groups=[group], columns=columns)


@contextmanager
def _open_table(path: str) -> Iterator[pq.ParquetFile]:
    refuse_special(path)
    try:
        table = pq.ParquetFile(open_remote(path) if is_url(path) else path)
    except OSError as error:
        if not isinstance(error, pa.ArrowException) and (error.errno or is_url(path)):
            raise AccessError(path, "", f"cannot be opened ({error})", "Check the path") from error
        raise _not_parquet(path, error) from error
    except (pa.ArrowException, ValueError) as error:  # names of columns that are not UTF-8, say
        raise _not_parquet(path, error) from error
    with table:
        yield table


def _not_parquet(path: str, error: Exception) -> FormatError:
    return FormatError(path, "", f"not a Parquet file ({error})", "Check the path and the format")


def _checked_row(document: Document) -> dict[str, Any]:
    if fault := fault_of(document):
        raise FormatError(f"document {document.id!a}", "", fault, "Fix the document before it is written")
    return row_of(document)


def _columns_of_ours(schema: pa.Schema, path: str) -> list[str]:
    """Return the columns that a documents table has of those it may have."""
    for name in schema.names:
        if schema.get_field_index(name) < 0:
            raise FormatError(path, "", f"there are two columns called {name}", "Rename one of them")
    missing = [name for name in ("id", "text") if name not in schema.names]
    if missing:
        remedy = "Write the table again with its columns id and text"
        raise FormatError(path, "", f"this table of documents has no column {missing[0]}", remedy)
    columns = [name for name in DOCUMENT_SCHEMA.names if name in schema.names]
    for name in columns:
        if not fits(schema.field(name).type, DOCUMENT_SCHEMA.field(name).type):
            problem = f"the column {name} of this table of documents is {schema.field(name).type}"
            raise FormatError(path, "", problem, f"It must be {DOCUMENT_SCHEMA.field(name).type}")
    return columns
