"""The "jsonl" format: one Document a line as a JSON object, nothing lost.

    {"id": "10", "text": "...", "version": 1,
     "passages":  [{"start": 0, "end": 9, "kind": "title", "label": "", "language": "eng"}],
     "mentions":  [{"start": 0, "end": 4, "label": "Disease", "text": "...",
                    "score": 0.9, "concept": "MESH:D003693", "id": "T1"}],
     "sentences": [{"id": "10:0", "words": ["..."], "starts": [0], "document_id": "10",
                    "gold": [{"start": 0, "end": 1, "label": "Disease"}]}],
     "relations": [{"label": "CID", "arguments": [["Chemical", "T1"], ["Disease", "T2"]], "id": "R1"}],
     "attributes": {"journal": "...", "mesh": ["...", "..."]}}

A passage, mention or relation may also have "infons", and the document "extra": objects of any shape, with
what the format that they come from says besides.
The fields are those of `raybio.entities`; "id" and "text" must be there, and a field left out
has its default (no "mentions" means that nobody annotated the document; no "passages", that all of
its text is one, while text outside the passages that are named is never tagged). Offsets count
Unicode code points, not UTF-16 units or bytes; `gold` counts words. The file is UTF-8, not
escaped ASCII; U+0085, U+2028 and U+2029 are escaped, since many tools cut lines there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import chain
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, SchemaValidator

from raybio.corpora.checks import fault_of
from raybio.corpora.json_text import json_size, parsed
from raybio.corpora.limits import MAX_RECORD_BYTES, too_large
from raybio.corpora.lines import scan_lines
from raybio.corpora.opening import no_records
from raybio.corpora.table import Columns, is_foreign, read_json_lines
from raybio.entities import Document, Mention, Passage, Record, Rejected, Relation, Sentence, Span
from raybio.errors import FormatError

_ADAPTER = TypeAdapter(Document)
_REMEDY = "Compare the line with the fields of the jsonl format"
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_PARTS: dict[str, type] = {
    "passages": Passage,
    "mentions": Mention,
    "sentences": Sentence,
    "relations": Relation,
    "gold": Span,
}


def read(
    stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES, columns: Columns | None = None
) -> Iterator[Record]:
    """Yield a Document for each line, or a Rejected where the line is not one, or too large.

    With `columns`, and where the first line is no document of this format, the lines are the rows of a table
    of any keys (see `table`).

    Raises:
        FormatError: the file is empty, or cannot be read on.
    """
    lines = scan_lines(stream, source, max_record_bytes)
    first = next((line for line in lines if line.text.strip()), None)
    if first is None:
        raise no_records(source, "document")
    lines = chain([first], lines)
    named = columns is not None and (columns.text or columns.id)
    if named or (first.fault is None and is_foreign(first.text)):
        yield from read_json_lines(lines, source, max_record_bytes, columns or Columns())
        return
    for number, line, _, fault in lines:
        if not line or line.isspace():
            continue
        if fault is not None:
            yield fault
        elif json_size(line, max_record_bytes) > max_record_bytes:
            yield too_large(source, f"line {number}", "the line with its values", max_record_bytes, line)
        else:
            try:
                yield document_from_json(line)
            except ValueError as error:
                yield Rejected(source, f"line {number}", str(error), _REMEDY, raw=line)


def write(documents: Iterable[Document], stream: BinaryIO) -> None:
    """Write one line for each document.

    Raises:
        FormatError: a document breaks its own promises, or holds a lone surrogate.
    """
    for document in documents:
        stream.write(document_to_json(document).encode() + b"\n")


def document_to_json(document: Document) -> str:
    """Return `document` as one line of JSON, fields that have their default left out.

    Raises:
        FormatError: the document breaks its own promises, or holds a lone surrogate.
    """
    name = f"document {document.id!a}"
    if fault := fault_of(document):
        raise FormatError(name, "", fault, "Fix the document before it is written")
    try:
        line = _ADAPTER.dump_json(document, exclude_defaults=True).decode()
    except PydanticSerializationError as error:
        remedy = "Replace lone surrogates (half a character) in its strings"
        raise FormatError(name, "", f"cannot be written as UTF-8 ({error})", remedy) from error
    return line.translate(_LINE_ENDS)


def document_from_json(line: str) -> Document:
    """Return the Document that `document_to_json` wrote.

    Raises:
        ValueError: it is not JSON, a field is missing, unknown, there twice or of the wrong type, or
            the document breaks its own promises; the message says which.
    """
    try:
        document: Document = _VALIDATOR.validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}" if where else str(first["msg"])) from error
    if unknown := next(_unknown_fields(parsed(line), Document), ""):
        raise ValueError(f"unknown field {unknown!r}")
    if fault := fault_of(document):
        raise ValueError(fault)
    return document


def _failing_fast(schema: Any) -> Any:
    """Return a schema of pydantic's whose lists end at their first fault: a line may hold millions."""
    if isinstance(schema, dict):
        found = {name: _failing_fast(value) for name, value in schema.items()}
        return found | {"fail_fast": True} if found.get("type") in ("tuple", "list", "dict") else found
    return [*map(_failing_fast, schema)] if isinstance(schema, list) else schema


_VALIDATOR = SchemaValidator(_failing_fast(_ADAPTER.core_schema))


def _unknown_fields(record: Mapping[str, Any], kind: type) -> Iterator[str]:
    """Yield the names in `record`, an object of valid shape, that `kind` has no field for."""
    known = {field.name for field in fields(kind)}
    for name, value in record.items():
        if name not in known:
            yield name
        elif name in _PARTS:
            for part in value or ():
                yield from _unknown_fields(part, _PARTS[name])
