"""The "parquet" format: a table of documents, lossless; and the table of mentions that bulk tagging writes.

A documents table (`DOCUMENT_SCHEMA`) has a row for each Document with all its parts nested,
and says so in the schema's metadata: {"raybio.format": "documents"}. Any other Parquet file
reads too if it has an id (`id`, `document_id` or `pmid`) and `text`, or `title` and
`abstract`, as columns of strings; its further string columns become attributes.

A mentions table (`MENTION_SCHEMA`) has a row for each mention. It is made for queries, not
for reading back: the text around the mentions is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raybio.corpora.checks import fault_of
from raybio.corpora.opening import filesystem_of, is_url, no_records, write_bytes
from raybio.corpora.parquet_rows import document_of, row_of
from raybio.entities import Document, Passage, Record, Rejected
from raybio.errors import AccessError, FormatError

ROW_GROUP = 1_000
"""Documents of a row group: what is held in memory at once, when writing and when reading."""

_FORMAT_KEY = b"raybio.format"
_ID_COLUMNS = ("id", "document_id", "pmid")


def _list_of(**columns: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct(list(columns.items())))


_INTS = pa.list_(pa.int32())
_STRINGS = pa.list_(pa.string())

_DOCUMENT_COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "version": pa.int32(),
    "text": pa.string(),
    "passages": _list_of(
        start=pa.int32(), end=pa.int32(), kind=pa.string(), label=pa.string(), language=pa.string()
    ),
    "mentions": _list_of(
        start=pa.int32(),
        end=pa.int32(),
        label=pa.string(),
        text=pa.string(),
        score=pa.float64(),
        concept=pa.string(),
        id=pa.string(),
    ),
    "sentences": _list_of(
        id=pa.string(),
        words=_STRINGS,
        starts=_INTS,
        document_id=pa.string(),
        gold=_list_of(start=pa.int32(), end=pa.int32(), label=pa.string()),
    ),
    "relations": _list_of(
        label=pa.string(), arguments=_list_of(role=pa.string(), reference=pa.string()), id=pa.string()
    ),
    # An attribute is one string or several: `value` is null where `values` is not.
    "attributes": _list_of(name=pa.string(), value=pa.string(), values=_STRINGS),
}
DOCUMENT_SCHEMA = pa.schema(_DOCUMENT_COLUMNS, metadata={_FORMAT_KEY: b"documents"})
"""A row for each Document, with the fields of `raybio.entities`; null mentions or gold: not annotated."""

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


def mention_table(documents: Iterable[Document], model: str = "", config_hash: str = "") -> pa.Table:
    """Return a `MENTION_SCHEMA` table of all mentions of `documents`, in order."""
    rows = [
        {
            "document_id": document.id,
            "version": document.version,
            **_passage_at(document.passages, mention.start),
            "start": mention.start,
            "end": mention.end,
            "text": mention.text,
            "label": mention.label,
            "score": mention.score,
            "concept": mention.concept,
            "model": model,
            "config_hash": config_hash,
        }
        for document in documents
        for mention in document.mentions or ()
    ]
    return pa.Table.from_pylist(rows, schema=MENTION_SCHEMA)


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


def write_path(documents: Iterable[Document], path: str) -> None:
    """Write a documents table to a local path or URL, a row group at a time.

    Raises:
        FormatError: a document breaks its own promises, or holds a lone surrogate.
    """
    with write_bytes(path) as stream, pq.ParquetWriter(stream, DOCUMENT_SCHEMA) as writer:
        remaining = iter(documents)
        while group := list(islice(remaining, ROW_GROUP)):
            writer.write_table(document_table(group))


def read_path(path: str) -> Iterator[Record]:
    """Yield the documents of a Parquet file at a local path or URL; a row at fault is Rejected.

    Raises:
        AccessError: the file cannot be opened, or its place breaks off.
        FormatError: it is not Parquet, has no rows, or lacks the columns named above.
    """
    with _open_table(path) as table:
        schema = table.schema_arrow
        ours = (schema.metadata or {}).get(_FORMAT_KEY) == b"documents"
        read_row = document_of if ours else _reader_of_others(schema, path)
        number = 0
        for batch in table.iter_batches(ROW_GROUP):
            for row in batch.to_pylist():
                number += 1
                yield _record(read_row, row, path, number)
    if not number:
        raise no_records(path, "row")


@contextmanager
def _open_table(path: str) -> Iterator[pq.ParquetFile]:
    try:
        if is_url(path):
            filesystem, inner = filesystem_of(path)
            table = pq.ParquetFile(filesystem.open_input_file(inner))
        else:
            table = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise FormatError(
            path, "", f"not a Parquet file ({error})", "Check the path and the format"
        ) from error
    except OSError as error:
        raise AccessError(path, "", f"cannot be opened ({error})", "Check the path") from error
    with table:
        try:
            yield table
        except (pa.ArrowException, OSError) as error:
            # Arrow says OSError of damaged data too; only a fault of the place has a number, or a URL.
            if isinstance(error, OSError) and (error.errno or is_url(path)):
                raise
            remedy = "Fetch or write the file again"
            raise FormatError(path, "", f"the Parquet data are broken ({error})", remedy) from error


def _record(
    read_row: Callable[[Mapping[str, Any]], Document], row: Mapping[str, Any], path: str, number: int
) -> Record:
    try:
        document = read_row(row)
        fault = fault_of(document)
    except (ValueError, TypeError) as error:
        fault = str(error)
    if fault:
        return Rejected(path, f"row {number}", fault, "Mend the row and read it again", raw=repr(row))
    return document


def _checked_row(document: Document) -> dict[str, Any]:
    if fault := fault_of(document):
        raise FormatError(f"document {document.id!a}", "", fault, "Mend the document before it is written")
    return row_of(document)


def _reader_of_others(schema: pa.Schema, path: str) -> Callable[[Mapping[str, Any]], Document]:
    """Return what makes a Document of a row of a table that is not ours."""
    strings = [field.name for field in schema if _is_string(field.type)]
    id_column = next((name for name in _ID_COLUMNS if name in strings), "")
    text_columns = ["text"] if "text" in strings else [n for n in ("title", "abstract") if n in strings]
    if not id_column or text_columns not in (["text"], ["title", "abstract"]):
        problem = f"no string columns for an id and a text (there are: {', '.join(schema.names)})"
        remedy = f"Name them {' or '.join(_ID_COLUMNS)}, and text, or title and abstract"
        raise FormatError(path, "", problem, remedy)
    others = [name for name in strings if name not in (id_column, *text_columns)]

    def read_row(row: Mapping[str, Any]) -> Document:
        if row[id_column] is None or all(row[name] is None for name in text_columns):
            raise ValueError("the id or the text is null")
        text, passages = _joined(row, text_columns)
        attributes = {name: row[name] for name in others if row[name] is not None}
        return Document(row[id_column], text, passages, attributes=attributes)

    return read_row


def _joined(row: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, tuple[Passage, ...]]:
    """Return the texts of `columns` that are not null, joined by a newline, and a passage for each."""
    pieces = [(name, row[name]) for name in columns if row[name] is not None]
    passages = []
    position = 0
    for kind, piece in pieces:
        passages.append(Passage(position, position + len(piece), kind))
        position += len(piece) + 1
    return "\n".join(piece for _, piece in pieces), tuple(passages)


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _passage_at(passages: Sequence[Passage], position: int) -> dict[str, str]:
    for passage in passages:
        if passage.start <= position < passage.end:
            return {"passage": passage.kind, "passage_label": passage.label}
    return {"passage": "", "passage_label": ""}
