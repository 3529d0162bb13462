"""BioC JSON: one collection, PubTator 3's answer, or one document a line.

Read are a collection (`{"documents": [...]}`), PubTator 3's `{"PubTator3": [...]}`, a list of
documents or of collections (as NCBI's BioC of PubMed and PMC comes) or one document, and JSON Lines
of any of these. One document at a time is held in memory, and a collection that stands in a list.
Written is a collection with one document a line. `bioc` says what a document holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

from raybio.corpora import bioc
from raybio.corpora.bioc_nodes import Node, collection_of, header_of
from raybio.corpora.bioc_tree import tree
from raybio.corpora.json_documents import DocumentScanner, Piece
from raybio.corpora.json_text import json_size, parsed
from raybio.corpora.limits import MAX_RECORD_BYTES, too_large
from raybio.corpora.opening import no_records
from raybio.corpora.standoff import cannot_hold
from raybio.entities import Document, Record, Rejected
from raybio.errors import FormatError

_TAIL = b"\n]}\n"
_COLLECTIONS = ("documents", "PubTator3")
_BOM = b"\xef\xbb\xbf"
_CHUNK = 64 * 1024
_AGAIN = "Write it again, in UTF-8"


def read(stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield the documents of a BioC JSON file; what is not one, or too large, is Rejected.

    Raises:
        FormatError: what stands around the documents is not JSON in UTF-8 with each name once in an object
            (the documents before the fault have been yielded), or there is no document.
    """
    empty = True
    for record in _records(stream, source, max_record_bytes):
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
    remaining = iter(documents)
    first = next(remaining, None)
    head = json.dumps({**collection_of(first), "documents": []}, ensure_ascii=False)
    stream.write(head.removesuffix("]}").encode())
    separator = b"\n"
    for document in () if first is None else chain([first], remaining):
        try:
            line = json.dumps(tree(document), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise cannot_hold("UTF-8", document, "a lone surrogate", "Fix the text") from error
        stream.write(separator + line)
        separator = b",\n"
    stream.write(_TAIL)


def _records(stream: BinaryIO, source: str, max_record_bytes: int) -> Iterator[Record]:
    text: _Text | None = None
    in_lines = False
    for line, piece in _pieces(stream):
        if text is None:
            if not piece.strip():
                continue
            text = _Text(source, line, in_lines, max_record_bytes)
        yield from text.feed(piece, line)
        if piece.endswith(b"\n") and text.ends_with(line):
            yield from text.finish()
            in_lines, text = text.in_lines, None
    if text is not None:
        yield from text.finish()


def _pieces(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, piece of that line) to the end of the file, without a byte order mark."""
    line = 1
    for piece in iter(partial(stream.readline, _CHUNK), b""):
        yield line, piece.removeprefix(_BOM) if line == 1 else piece
        line += piece.endswith(b"\n")


class _Text:
    """One JSON text: the whole file, or a line of JSON Lines. The first line tells which."""

    def __init__(self, source: str, line: int, in_lines: bool, max_record_bytes: int) -> None:
        self.in_lines = in_lines
        self._source = source
        self._line = self._at = line
        self._max_bytes = max_record_bytes
        self._scanner = DocumentScanner(_COLLECTIONS, max_record_bytes)
        self._collection: Node | None = None
        self._last = b""

    def feed(self, piece: bytes, line: int) -> Iterator[Record]:
        """Take the next bytes of the text; yield the documents that end in them."""
        self._at = line
        self._last = piece.rstrip()[-1:] or self._last
        for document in self._scanner.feed(piece, line):
            yield from self._read(document)

    def ends_with(self, line: int) -> bool:
        """Say whether the text ends with `line`, which it reaches the end of."""
        # An object from end to end, broken inside, is a line of JSON Lines too.
        whole = self._scanner.frame.content.startswith(b"{") and self._last == b"}"
        if line == self._line and (self._scanner.is_complete or whole):
            self.in_lines = True
        return self.in_lines or self._scanner.is_complete

    def finish(self) -> Iterator[Record]:
        """Yield what there is to say at the end of the text.

        Raises:
            FormatError: the text is broken, and all there is.
        """
        scanner, frame = self._scanner, self._scanner.frame
        if not frame.is_whole or _size_of(frame) > self._max_bytes:
            what = "what stands around the documents" if scanner.has_collection else "the document"
            yield too_large(self._source, self._place(""), what, self._max_bytes, bytes(frame.content))
            return
        try:
            if scanner.unfinished:
                number, begun = scanner.documents + 1, scanner.unfinished.line
                raise ValueError(f"it ends inside document {number}, which begins in line {begun}")
            if scanner.has_collection and not scanner.is_complete:
                raise ValueError("it ends before the list of documents does")
            value = parsed(bytes(frame.content))
        except ValueError as error:
            yield self._broken(error)
        else:
            if not scanner.has_collection:
                raw = frame.content.decode
                yield bioc.read_document(value, self._source, self._place("document 1"), raw, self._max_bytes)

    def _read(self, document: Piece) -> Iterator[Record]:
        """Yield the document of an item of the list, or those of the collection that it is."""
        place = self._place(f"document {self._scanner.documents}")
        if not document.is_whole or _size_of(document) > self._max_bytes:
            yield too_large(self._source, place, "the document", self._max_bytes, bytes(document.content))
            return
        try:
            node = parsed(bytes(document.content))
        except ValueError as error:
            raw = document.content.decode("utf-8", "backslashreplace").rstrip()
            problem = f"the document, which begins in line {document.line}, is not JSON in UTF-8 ({error})"
            yield Rejected(self._source, place, problem, _AGAIN, raw=raw)
            return
        if isinstance(node, dict) and "passages" not in node and isinstance(node.get("documents"), list):
            header = header_of({key: value for key, value in node.items() if key != "documents"})
            for number, each in enumerate(node["documents"], start=1):
                within = f"{place.replace('document', 'collection')}, document {number}"
                raw_of = partial(json.dumps, each, ensure_ascii=False)
                yield bioc.read_document(each, self._source, within, raw_of, self._max_bytes, header)
            return
        if self._collection is None:
            self._collection = _before_documents(bytes(self._scanner.frame.content))
        decode = document.content.decode
        yield bioc.read_document(node, self._source, place, decode, self._max_bytes, self._collection)

    def _broken(self, error: ValueError) -> Rejected:
        """Return the line that is broken; raise where it is no line but the whole file."""
        if self.in_lines:
            broken = self._scanner.unfinished or self._scanner.frame
            raw = broken.content.decode("utf-8", "backslashreplace").rstrip("\r\n")
            problem = f"the line cannot be read as JSON in UTF-8 ({error})"
            return Rejected(self._source, self._place(""), problem, "Write the line again", raw=raw)
        place = f"line {self._at}"
        if isinstance(error, json.JSONDecodeError) and not self._scanner.has_collection:
            place = f"line {self._line + error.lineno - 1}, column {error.colno}"
        problem = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise FormatError(self._source, place, f"the JSON is broken ({problem})", "Fetch or write it again")

    def _place(self, within: str) -> str:
        may_be_line = self._at == self._line and self._scanner.frame.content.startswith(b"{")
        line = f"line {self._line}" if self.in_lines or may_be_line else ""
        return ", ".join(filter(None, (line, within)))


def _before_documents(frame: bytes) -> Node:
    """Return what a collection says before its documents, whose list `frame` opens."""
    try:
        found = parsed(frame + b"]}") if frame.startswith(b"{") else {}
    except ValueError:  # reported at its end
        return {}
    return header_of({key: value for key, value in found.items() if key not in _COLLECTIONS})


def _size_of(piece: Piece) -> int:
    return json_size(piece.content.decode("utf-8", "replace"), piece.max_bytes)
