"""Rows of any table -> documents: which column is the text, which the id, and what travels along.

Each column of text is a passage of the document, in the order named, with one blank between them: so offsets
count as PubTator and PubMed have them for title and abstract. A passage of another column than `title`,
`abstract` and `text` is of kind "text", with the column's name as its label. What is null or empty has no
passage, and a list of strings one for each.

Where columns are not named they are found by their names, in letters of any case: `id`, `document_id` or
`pmid`; and `text`, or else `title` and `abstract`, or one of the two.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

from raybio.corpora.json_text import json_size, parsed
from raybio.corpora.limits import shown, too_large
from raybio.corpora.lines import Line
from raybio.corpora.opening import no_records
from raybio.corpora.sniffing import IDS, TEXTS
from raybio.corpora.spans_in_rows import spans_key, spans_of
from raybio.entities import AttributeValue, Document, Passage, Record, Rejected
from raybio.errors import ColumnsError

ROW_NUMBER = "#"
"""Named as the id's column: rows are numbered, from 1."""

_WHOLE = re.compile(r"[0-9]+\.0")  # what pandas writes of whole numbers beside nulls
_REMEDY = (
    "Name the columns, of `raybio tag` or `raybio corpus convert`: --text title,abstract --id pmid (--id '#' "
    "numbers the rows); in a config input.columns.text and input.columns.id"
)
_MAX_NAMED = 30
_HEAD_LINES = 100
_HEAD_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table are: those of the `text`, in order, and of the `id`; empty: by their names.

    `keep` names columns that become attributes of the documents; None keeps each other column of strings (of
    CSV and JSON lines, where types are not known before, each other column).
    """

    text: tuple[str, ...] = ()
    id: str = ""
    keep: tuple[str, ...] | None = None


class RowReader:
    """Makes documents of the rows of one table, whose columns are `names`.

    Raises:
        ColumnsError: a column that is named is not there or is there twice, or none is found by its name.
    """

    def __init__(
        self,
        names: Sequence[str],
        columns: Columns,
        source: str,
        strings: Collection[str] | None = None,
        spans: str = "",
    ) -> None:
        """`strings` are the columns that hold strings; None: all may. `spans` is that of annotations."""
        self._names, self._source = names, source
        self._text = columns.text or self._found_texts()
        self._id = columns.id or self._found(IDS, "an id")
        # Offsets are those of a single text.
        self._spans = spans if len(self._text) == 1 and spans not in self._text else ""
        others = [name for name in names if name and name not in (self._id, *self._text, self._spans)]
        of_strings = [name for name in others if strings is None or name in strings]
        self._keep = tuple(of_strings if columns.keep is None else columns.keep)
        # Named ones are there in every document, so that tables made of them have the same columns.
        self._always = columns.keep is not None
        wanted = [*self._text, *([] if self._id == ROW_NUMBER else [self._id]), *self._keep]
        self.columns = list(dict.fromkeys(wanted))
        for name in self.columns:
            self._check(name)

    def document(self, row: Mapping[str, Any], number: int) -> Document:
        """Return the document of row `number`; a column that is not in `row` is null.

        Raises:
            ValueError: it has no id, a text that is no text, or annotations that are not of its text.
        """
        identity = str(number) if self._id == ROW_NUMBER else _word(row.get(self._id))
        if _WHOLE.fullmatch(identity):
            identity = identity.removesuffix(".0")
        if not identity:
            raise ValueError(f"the id (column {self._id}) is empty")
        kept = {name: _attribute(row.get(name)) for name in self._keep}
        text, passages = self._joined(row)
        return Document(
            identity,
            text,
            passages,
            spans_of(row, self._spans, text) if self._spans else None,
            attributes={name: value for name, value in kept.items() if value or self._always},
        )

    def _joined(self, row: Mapping[str, Any]) -> tuple[str, tuple[Passage, ...]]:
        passages, pieces, position = [], [], 0
        for name in self._text:
            kind = name.lower()
            own = (kind, "") if any(kind in plain for plain in TEXTS) else ("text", name)
            for piece in _texts(name, row.get(name)):
                passages.append(Passage(position, position + len(piece), *own))
                pieces.append(piece)
                position += len(piece) + 1
        return " ".join(pieces), tuple(passages)

    def _found(self, plain: Sequence[str], what: str) -> str:
        here = {name.lower(): name for name in self._names}
        name = next((here[each] for each in plain if each in here), None)
        if name is None:
            problem = f"no column is called {' or '.join(plain)}, for {what} ({self._all()})"
            raise ColumnsError(self._source, "", problem, _REMEDY)
        return name

    def _found_texts(self) -> tuple[str, ...]:
        here = {name.lower(): name for name in self._names}
        for plain in TEXTS:
            if found := tuple(here[each] for each in plain if each in here):
                return found
        problem = f"no column is called text, title or abstract ({self._all()})"
        raise ColumnsError(self._source, "", problem, _REMEDY)

    def _check(self, name: str) -> None:
        if name not in self._names:
            near = difflib.get_close_matches(name, self._names, n=1)
            remedy = "Name one of these" if name in self._keep else _REMEDY
            hint = f"Did you mean {near[0]!r}?" if near else remedy
            raise ColumnsError(self._source, "", f"there is no column {name!r} ({self._all()})", hint)
        if self._names.count(name) > 1:
            raise ColumnsError(self._source, "", f"there are two columns called {name}", "Rename one of them")

    def _all(self) -> str:
        more = f" and {len(self._names) - _MAX_NAMED} more" if len(self._names) > _MAX_NAMED else ""
        return f"there are: {', '.join(self._names[:_MAX_NAMED])}{more}"


def is_foreign(line: str) -> bool:
    """Say whether a line of JSON is a row of somebody's table, and not a document of raybio's own."""
    try:
        row = parsed(line)
    except ValueError:
        return False
    if not isinstance(row, dict):
        return False
    own = {field.name for field in fields(Document)}
    plain = isinstance(row.get("id"), str) and isinstance(row.get("text"), str)
    return not (row.keys() <= own and plain) and not row.keys() & {"passages", "mentions", "sentences"}


def read_json_lines(
    lines: Iterable[Line], source: str, max_record_bytes: int, columns: Columns
) -> Iterator[Record]:
    """Yield the document of each line that holds a JSON object of any keys, or why there is none.

    The columns of the table are the keys of its first lines; a key that a later line lacks is null there.
    Spans with labels beside a single text are its mentions (see `spans_in_rows`).

    Raises:
        FormatError: there is no row, or the columns are not there.
    """
    rows = (_json_row(line, source, max_record_bytes) for line in lines if line.text.strip())
    head: list[tuple[int, dict[str, Any] | Rejected, str]] = []
    size = 0
    for each in rows:
        head.append(each)
        size += len(each[2])
        if len(head) == _HEAD_LINES or size > _HEAD_CHARACTERS:
            break
    objects = [row for _, row, _ in head if isinstance(row, dict)]
    if not head:
        raise no_records(source, "row")
    names = [*dict.fromkeys(chain.from_iterable(objects))]
    reader = RowReader(names, columns, source, spans=spans_key(objects)) if objects else None
    for number, row, raw in chain(head, rows):
        if isinstance(row, Rejected):
            yield row
        elif reader is None:  # nothing but lines that cannot be read before it
            reader = RowReader([*row], columns, source)
            yield row_record(reader, row, source, number, f"line {number}", raw)
        else:
            yield row_record(reader, row, source, number, f"line {number}", raw)


def row_record(
    reader: RowReader, row: Mapping[str, Any], source: str, number: int, place: str, raw: str
) -> Record:
    """Return the document of a row, or the rejected record for one at fault."""
    try:
        return reader.document(row, number)
    except ValueError as error:
        return Rejected(source, place, str(error), "Correct the row and read it again", raw=raw)


def _json_row(line: Line, source: str, max_bytes: int) -> tuple[int, dict[str, Any] | Rejected, str]:
    place = f"line {line.number}"
    found: dict[str, Any] | Rejected
    if line.fault is not None:
        found = line.fault
    elif json_size(line.text, max_bytes) > max_bytes:
        found = too_large(source, place, "the line with its values", max_bytes, line.text)
    else:
        try:
            found = parsed(line.text)
            fault = "" if isinstance(found, dict) else "the line is no JSON object"
        except ValueError as error:
            fault = f"the line is not JSON ({error})"
        if fault:
            found = Rejected(source, place, fault, "Write one JSON object a line", raw=line.text)
    return line.number, found, line.text


def _texts(name: str, value: Any) -> Iterator[str]:
    """Yield the texts of a cell.

    Raises:
        ValueError: there is something else in it.
    """
    for each in value if isinstance(value, list | tuple) else [value]:
        if isinstance(each, str):
            if each:
                yield each
        elif not _is_null(each):
            raise ValueError(f"the value of {name} is no text: {shown(each)}")


def _attribute(value: Any) -> AttributeValue:
    if isinstance(value, list | tuple):
        return tuple(map(_word, value))
    return _word(value)


def _word(value: Any) -> str:
    """Return a cell's value as a string, "" for null; "123" for 123.0, as pandas has it beside nulls."""
    if isinstance(value, str):
        return value
    if _is_null(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
