"""BioC JSON: one collection, PubTator 3's answer, or one document a line.

Read are a collection (`{"documents": [...]}`), PubTator 3's `{"PubTator3": [...]}`, a list of
documents or one document, and JSON Lines of any of these. A collection is one JSON value and
is held in memory while it is read; JSON Lines are read line by line. Written is a collection
with one document a line. `bioc` says what a document holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

from raybio.corpora import bioc
from raybio.corpora.bioc_tree import tree
from raybio.corpora.json_text import parsed
from raybio.corpora.opening import no_records
from raybio.corpora.standoff import cannot_hold
from raybio.entities import Document, Record, Rejected
from raybio.errors import FormatError

_HEAD = b'{"source": "raybio", "date": "", "key": "", "infons": {}, "documents": ['
_TAIL = b"\n]}\n"
_COLLECTIONS = ("documents", "PubTator3")


def read(stream: BinaryIO, source: str) -> Iterator[Record]:
    """Yield the documents of a BioC JSON file; what is not one is Rejected.

    Raises:
        FormatError: the file is not JSON in UTF-8 with each name once in an object, or holds no document.
    """
    empty = True
    for record in _records(stream, source):
        empty = False
        yield record
    if empty:
        raise no_records(source, "BioC document")


def write(documents: Iterable[Document], stream: BinaryIO) -> None:
    """Write `documents` as one BioC collection, UTF-8, a document a line.

    Raises:
        FormatError: BioC cannot hold a document.
        OffsetError: a mention does not cover its text.
    """
    stream.write(_HEAD)
    separator = b"\n"
    for document in documents:
        try:
            line = json.dumps(tree(document), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise cannot_hold("UTF-8", document, "a lone surrogate", "Mend the text") from error
        stream.write(separator + line)
        separator = b",\n"
    stream.write(_TAIL)


def _records(stream: BinaryIO, source: str) -> Iterator[Record]:
    numbered = ((number, line) for number, line in enumerate(stream, start=1) if line.strip())
    first = next(numbered, None)
    if first is None:
        return
    if _is_whole_object(first[1]):
        for number, line in chain([first], numbered):
            yield from _line_records(line, source, f"line {number}")
    else:
        yield from _tree_records(_whole_file(first, stream, source), source, "")


def _is_whole_object(line: bytes) -> bool:
    """Say whether `line` is an object from end to end, as in JSON Lines; broken ones inside are."""
    stripped = line.removeprefix(b"\xef\xbb\xbf").strip()
    return stripped.startswith(b"{") and stripped.endswith(b"}")


def _whole_file(first: tuple[int, bytes], stream: BinaryIO, source: str) -> object:
    number, line = first
    try:
        return parsed(line + stream.read())
    except json.JSONDecodeError as error:
        place = f"line {number + error.lineno - 1}, column {error.colno}"
        raise FormatError(
            source, place, f"the JSON is broken ({error.msg})", "Fetch or write it again"
        ) from error
    except ValueError as error:  # not UTF-8, a number of thousands of digits, a name twice, or too deep
        problem = f"this cannot be read as JSON in UTF-8 ({error})"
        raise FormatError(source, "", problem, "Write it again, in UTF-8") from error


def _line_records(line: bytes, source: str, place: str) -> Iterator[Record]:
    try:
        value = parsed(line)
    except ValueError as error:
        raw = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
        problem = f"the line cannot be read as JSON in UTF-8 ({error})"
        yield Rejected(source, place, problem, "Write the line again", raw=raw)
    else:
        yield from _tree_records(value, source, place)


def _tree_records(value: object, source: str, line: str) -> Iterator[Record]:
    for number, node in enumerate(_documents(value), start=1):
        place = f"{line}, document {number}" if line else f"document {number}"
        yield bioc.read_document(node, source, place, partial(json.dumps, node, ensure_ascii=False))


def _documents(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for key in _COLLECTIONS:
            if isinstance(value.get(key), list):
                return list(value[key])
    return [value]
