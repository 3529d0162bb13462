"""The "csv" format: reads a table with a row for each text, writes a table with a row for each mention.

Read are files with a header line, of columns between commas, tabs, semicolons or bars, whichever the header
has most of, quoted as RFC 4180 has it: a quoted value may hold the separator, line ends, and a quote twice.
Values are taken as they are, so that an id keeps its zeros. `table` says which column is what.

Written are `document_id`, `version`, `passage`, `passage_label`, `start`, `end`, `text`, `label`, `score`,
`concept` (as in the Parquet table of mentions, see `parquet`), then the attributes that are kept.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import BinaryIO

from raybio.corpora.limits import KEPT, MAX_RECORD_BYTES, too_large
from raybio.corpora.lines import raw_lines
from raybio.corpora.losses import parts_of
from raybio.corpora.opening import no_records, not_utf8
from raybio.corpora.table import Columns, RowReader, row_record
from raybio.entities import Document, Passage, Record, Rejected
from raybio.errors import ColumnsError, FormatError

_SEPARATORS = ",\t;|"
_LARGEST_VALUE = 2**31 - 1  # of csv's own, per process; what bounds a value here is the bound of a record
_REMEDY = "Quote values that hold quotes, separators or line ends, and write a quote in them twice"
_HELD = (
    *("mentions", "scores of mentions", "concepts of mentions"),
    *("versions of documents", "labels of passages"),  # in columns
)
MENTION_COLUMNS = (
    *("document_id", "version", "passage", "passage_label"),
    *("start", "end", "text", "label", "score", "concept"),
)


def read(
    stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES, columns: Columns | None = None
) -> Iterator[Record]:
    """Yield the document of each row; a row at fault, or too large, is Rejected.

    Raises:
        FormatError: there is no row, the header cannot be read, or the columns are not there.
    """
    csv.field_size_limit(_LARGEST_VALUE)
    lines = _Lines(stream, source, max_record_bytes)
    header = _header(lines)
    reader = RowReader(header, columns or Columns(), source)
    number = 0
    for row in _rows(lines):
        number += 1
        if isinstance(row, Rejected):
            yield row
        elif len(row) != len(header):
            yield lines.rejected(f"{len(row)} values in a table of {len(header)} columns", _REMEDY)
        else:
            named = dict(zip(header, row, strict=True))
            yield row_record(reader, named, source, number, lines.place, lines.raw)
    if not number:
        raise no_records(source, "row")


def looks_like_a_table(head: str) -> bool:
    """Say whether the first lines of a `.tsv` file are those of a table of texts, and not of words and tags.

    A word has no blank in it, and neither has a tag.
    """
    lines = [line.split("\t") for line in head.splitlines()[:2]]
    if any(len(cells) > 1 and any(" " in cell.strip() for cell in cells) for cells in lines):
        return True
    try:
        RowReader([cell.strip() for cell in lines[0]], Columns(), "")
    except (ColumnsError, IndexError):
        return False
    return True


def write(documents: Iterable[Document], stream: BinaryIO, keep: Sequence[str] = ()) -> None:
    """Write a row for each mention, with the attributes of its document that `keep` names.

    Raises:
        FormatError: a document holds a lone surrogate.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*MENTION_COLUMNS, *map(kept_name, keep)])
    for document in documents:
        kept = [kept_value(document, name) for name in keep]
        for mention in document.mentions or ():
            of_document = [document.id, document.version, *passage_at(document.passages, mention.start)]
            of_mention = [mention.start, mention.end, mention.text, mention.label]
            writer.writerow([*of_document, *of_mention, mention.score, mention.concept, *kept])
        try:
            stream.write(text.getvalue().encode())
        except UnicodeEncodeError as error:
            remedy = "Replace lone surrogates (half a character) in its strings"
            problem = f"cannot be written as UTF-8 ({error})"
            raise FormatError(f"document {document.id!a}", "", problem, remedy) from error
        text.seek(0)
        text.truncate()
    stream.write(text.getvalue().encode())  # the header, where there is no document


def losses(document: Document, keep: Sequence[str] = ()) -> Counter[str]:
    """Count what `write` leaves out of a document, by kind."""
    found = parts_of(document, _HELD)
    found["attributes of documents"] -= len({*keep} & document.attributes.keys())
    found["texts of documents, but for their mentions"] = bool(document.text)
    return +found


def passage_at(passages: Sequence[Passage], position: int) -> tuple[str, str]:
    """Return the kind and label of the passage at `position`, "" where there is none."""
    for passage in passages:
        if passage.start <= position < passage.end:
            return passage.kind, passage.label
    return "", ""


def kept_name(name: str, own: Collection[str] = (*MENTION_COLUMNS, "model", "config_hash")) -> str:
    """Return how a table with columns of its `own` calls a kept one: `input_NAME` where it has NAME."""
    return f"input_{name}" if name in own else name


def kept_value(document: Document, name: str) -> str:
    """Return an attribute as a table has it; several values are separated by "; "."""
    value = document.attributes.get(name, "")
    return value if isinstance(value, str) else "; ".join(value)


def _header(lines: _Lines) -> list[str]:
    first = next(lines, None)
    while first is not None and not first.strip():
        first = next(lines, None)
    if first is None:
        raise no_records(lines.source, "row")
    bare = re.sub(r'"[^"]*"', "", first)
    lines.separator = max(_SEPARATORS, key=bare.count)
    lines.again(first)
    for header in _rows(lines):
        if isinstance(header, Rejected):
            raise FormatError(lines.source, header.place, header.reason, header.remedy)
        return header
    raise no_records(lines.source, "row")


def _rows(lines: _Lines) -> Iterator[list[str] | Rejected]:
    """Yield the values of each row that is not blank; what is wrong with one says so itself."""
    rows = csv.reader(lines, delimiter=lines.separator, strict=True)
    while True:
        lines.begin()
        try:
            row = next(rows)
        except StopIteration:
            return
        except _TooLargeError:
            yield too_large(lines.source, lines.place, "the row", lines.max_bytes, lines.raw[:KEPT])
        except csv.Error as error:
            # Many who write tabs never quote: there a quote at the start of a value is a part of it.
            if lines.separator == "\t" and lines.raw.count("\n") <= 1 and not lines.fault:
                yield lines.raw.rstrip("\r\n").split("\t")
            else:
                yield lines.rejected(f"the row cannot be read ({error})", _REMEDY)
        else:
            if lines.fault:
                yield lines.rejected(lines.fault.problem, lines.fault.remedy)
            elif row:
                yield row


class _TooLargeError(Exception):
    """A row is larger than a record may be."""


class _Lines:
    """Lines with their endings, as `csv` takes them, and which of them the present row has."""

    separator = ","

    def __init__(self, stream: BinaryIO, source: str, max_bytes: int) -> None:
        self.source, self.max_bytes = source, max_bytes
        self._raw_lines = raw_lines(stream, max_bytes + 1)
        self._number = self._offset = 0
        self._again: str | None = None
        self.begin()

    def begin(self) -> None:
        """Take note that another row begins."""
        self._held: list[str] = []
        self._size = 0
        self._first = self._number + 1 - (self._again is not None)
        self.fault: FormatError | None = None

    def again(self, line: str) -> None:
        """Give the line that was read last once more."""
        self._again = line

    @property
    def place(self) -> str:
        """Where the present row is."""
        return f"line {self._first}"

    @property
    def raw(self) -> str:
        """The present row as it stands."""
        return "".join(self._held)

    def rejected(self, reason: str, remedy: str) -> Rejected:
        """Return the rejected record for the present row."""
        return Rejected(self.source, self.place, reason, remedy, raw=self.raw)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._again is not None:
            line, self._again = self._again, None
            self._held.append(line)
            return line
        raw = next(self._raw_lines, b"")
        if not raw:
            raise StopIteration
        self._number += 1
        self._size += len(raw)
        try:
            line = raw.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            self.fault = not_utf8(self.source, self._number, error, self._offset)
            line = raw.decode("utf-8", "backslashreplace")
        self._offset += len(raw)
        self._held.append(line)
        if self._size > self.max_bytes:
            while raw and not raw.endswith(b"\n"):
                raw = next(self._raw_lines, b"")
            raise _TooLargeError
        return line
