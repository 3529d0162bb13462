"""The "arrow" format: tables in Arrow's own files (Feather 2, the data files of a `datasets` folder).

Read a batch at a time, and of a batch some rows: `table` says which column is what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import pyarrow as pa

from raybio.corpora.checks import fault_of
from raybio.corpora.limits import MAX_RECORD_BYTES, too_large
from raybio.corpora.opening import no_records, read_twice
from raybio.corpora.parquet_rows import as_far_as_it_reads
from raybio.corpora.table import Columns, RowReader
from raybio.entities import Document, Record, Rejected
from raybio.errors import FormatError

ROWS = 16
"""Rows held as plain data at once; more are no faster."""

ReadRow = Callable[[Mapping[str, Any], int], Document]


def read(
    stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES, columns: Columns | None = None
) -> Iterator[Record]:
    """Yield the document of each row; a row at fault, or too large, is Rejected.

    Raises:
        FormatError: it is no Arrow file, there is no row, the columns are not there, or its data are broken
            (the rows before have been yielded).
    """
    with read_twice(stream) as seekable:
        number, reader = 0, None
        try:
            for schema, batch in _batches(seekable):
                reader = reader or reader_of(schema, columns, source)
                needed = batch.select(reader.columns)
                pieces = (needed.slice(start, ROWS) for start in range(0, needed.num_rows, ROWS))
                for record in records(pieces, reader.document, source, max_record_bytes, number):
                    number += 1
                    yield record
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            place = f"after row {number}" if number else "before the first row"
            problem = f"not an Arrow file, or its data are broken ({error})"
            raise FormatError(
                source, place, problem, "Write the file again, as Feather 2 or Arrow"
            ) from error
    if not number:
        raise no_records(source, "row")


def reader_of(schema: pa.Schema, columns: Columns | None, source: str) -> RowReader:
    """Return what makes documents of the rows of a table with that schema.

    Raises:
        FormatError: the columns are not there.
    """
    strings = [field.name for field in schema if holds_strings(field.type)]
    return RowReader(schema.names, columns or Columns(), source, strings)


def holds_strings(kind: pa.DataType) -> bool:
    """Say whether a column of that type holds strings."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def records(
    batches: Iterable[pa.RecordBatch], read_row: ReadRow, source: str, max_record_bytes: int, before: int = 0
) -> Iterator[Record]:
    """Yield the document of each row, or why there is none; `before` is how many rows came before them."""
    rows = (row for batch in batches for row in _rows(batch, max_record_bytes))
    for number, row in enumerate(rows, start=before + 1):
        yield _record(read_row, row, source, number, max_record_bytes)


def _batches(stream: BinaryIO) -> Iterator[tuple[pa.Schema, pa.RecordBatch]]:
    """Yield the batches of a file, or of a stream, which has no index at its end."""
    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    if is_file:
        with pa.ipc.open_file(stream) as file:
            for position in range(file.num_record_batches):
                yield file.schema, file.get_batch(position)
    else:
        with pa.ipc.open_stream(stream) as batches:
            for batch in batches:
                yield batches.schema, batch


def _rows(batch: pa.RecordBatch, max_record_bytes: int) -> Iterator[dict[str, Any] | pa.RecordBatch]:
    """Yield the rows of `batch` as plain data, and as a batch of one row where that cannot be.

    That is where a row is too large, or a value is none that Python can hold: a string that is not UTF-8, a
    date of the year 20,000.
    """
    if batch.nbytes <= max_record_bytes:
        with suppress(ValueError, ArithmeticError, pa.ArrowException):
            yield from batch.to_pylist()
            return
    for number in range(batch.num_rows):
        row = batch.slice(number, 1)
        try:
            yield row if row.nbytes > max_record_bytes else row.to_pylist()[0]
        except (ValueError, ArithmeticError, pa.ArrowException):
            yield row


def _record(
    read_row: ReadRow,
    row: Mapping[str, Any] | pa.RecordBatch,
    source: str,
    number: int,
    max_record_bytes: int,
) -> Record:
    place, remedy = f"row {number}", "Correct the row and read it again"
    if isinstance(row, pa.RecordBatch):
        if row.nbytes > max_record_bytes:
            return too_large(source, place, "the row", max_record_bytes, "")
        values, faults = as_far_as_it_reads(row)
        return Rejected(source, place, "; ".join(faults), remedy, raw=repr(values))
    try:
        document = read_row(row, number)
        fault = fault_of(document)
    except (ValueError, TypeError) as error:
        fault = str(error)
    return Rejected(source, place, fault, remedy, raw=repr(row)) if fault else document
