"""The documents in a JSON text of any size, one by one, each as its own bytes.

Only brackets, commas and quotes are looked at here; what a document holds is parsed by its reader. So
what is wrong inside one document (no JSON, no UTF-8, nested too deeply) costs that document and no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from raybio.corpora.limits import KEPT

_BRACKETS = re.compile(rb'["\[\]{}]')
_SEPARATORS = re.compile(rb'["\[\]{},]')
_IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_BLANK = b" \t\r\n"


@dataclass
class Piece:
    """A part of a JSON text, and the line it begins in; of one larger than `max_bytes` only the beginning."""

    max_bytes: int
    content: bytearray = field(default_factory=bytearray)
    size: int = 0
    line: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether `content` is all of it."""
        return self.size <= self.max_bytes

    def add(self, content: bytes, line: int) -> None:
        """Append `content` of the line numbered so; blanks before all else are left out."""
        if not self.size:
            content = content.lstrip(_BLANK)
            self.line = line
        self.size += len(content)
        if self.is_whole:
            self.content += content
        else:
            del self.content[KEPT:]
            self.content += content[: KEPT - len(self.content)]


class DocumentScanner:
    """Takes a JSON text piece by piece and gives the documents of its collections.

    A collection is a list that is all of the text, or stands in the object that is all of it under
    one of the names `keys`. What stands around the documents is `frame`: a text without a collection
    is all frame.
    """

    def __init__(self, keys: tuple[str, ...], max_bytes: int) -> None:
        self.frame = Piece(max_bytes)
        self.depth = 0
        self.documents = 0
        self.has_collection = False
        self._opens = re.compile(rb'"(?:%b)"\s*:\s*\Z' % "|".join(keys).encode())
        self._max_bytes = max_bytes
        self._home = 0  # the depth at which commas part documents, inside a collection
        self._document = Piece(max_bytes)
        self._separated = False  # whether a comma stands before the document
        self._in_string = False
        self._held = b""  # a backslash that ended a piece, whose character comes with the next

    @property
    def unfinished(self) -> Piece | None:
        """The document that has begun and not ended, if there is one."""
        return self._document if self._home and self._document.size else None

    @property
    def is_complete(self) -> bool:
        """Whether all that was opened has been closed."""
        return not (self.depth or self._in_string or self._held)

    def feed(self, piece: bytes, line: int) -> Iterator[Piece]:
        """Take the next bytes, which lie in one line, the `line`th; yield the documents that end in them."""
        piece, self._held = self._held + piece, b""
        saved = position = 0
        while position < len(piece):
            if self._in_string:
                # To its quote, or to where more than `piece` is needed.
                end = _IN_STRING.match(piece, position)
                position = end.end() if end else len(piece)
                if piece[position : position + 1] == b"\\":
                    piece, self._held = piece[:position], piece[position:]
                elif position < len(piece):
                    self._in_string = False
                    position += 1
                continue
            at_home = self._home and self.depth == self._home
            found = (_SEPARATORS if at_home else _BRACKETS).search(piece, position)
            if found is None:
                break
            position = found.end()
            mark = found[0]
            if mark == b'"':
                self._in_string = True
            elif mark in b"[{":
                self.depth += 1
                before = piece[max(saved, found.start() - KEPT) : found.start()]
                if mark == b"[" and self._opens_collection(before):
                    self.frame.add(piece[saved:position], line)
                    self._home, self.has_collection, saved = self.depth, True, position
                    self._separated = False
            elif mark == b"," or at_home:  # or the bracket that ends the collection
                self._document.add(piece[saved : found.start()], line)
                saved = position if mark == b"," else found.start()
                if self._document.size or mark == b"," or self._separated:
                    self.documents += 1
                    yield self._document
                self._separated = mark == b","
                self._document = Piece(self._max_bytes)
                if mark != b",":
                    self._home = 0
                    self.depth -= 1
            else:
                self.depth -= 1
        (self._document if self._home else self.frame).add(piece[saved:], line)
        if piece.endswith(b"\n"):
            self._in_string = False  # no string holds a line break: this one's end is missing

    def _opens_collection(self, before: bytes) -> bool:
        """Say whether a list that opens now, after `before`, holds documents."""
        if self._home or self.depth > 2:
            return False
        if self.depth == 1:
            return not (self.frame.size or before.strip(_BLANK))
        tail = bytes(self.frame.content[-KEPT:]) + before if self.frame.is_whole else b""
        return self._opens.search(tail) is not None
