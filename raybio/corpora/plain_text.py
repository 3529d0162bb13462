"""The "text" format: one UTF-8 file is one Document, its text exactly as it stands.

Offsets count the file's characters: line endings stay as they are ("\\r\\n" too), and only a
byte order mark is left out. Paragraphs, which blank lines separate, become passages of kind
"text". The document's id is the file's name without its suffix.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from raybio.corpora.limits import KEPT, MAX_RECORD_BYTES, PART_BYTES, too_large
from raybio.corpora.losses import parts_of, unheld_passages
from raybio.corpora.opening import decoded, no_records, read_whole, stem_of
from raybio.corpora.sniffing import LOOKED_AT, format_inside, tool_of
from raybio.entities import Document, Passage, Record
from raybio.errors import FormatError

_MARK = "\ufeff"
_NOT_SPACE = re.compile(r"\S")
_BLANK_LINE = re.compile(r"\n[^\S\n]*(?:\n|\Z)")


def read(stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield the one Document of the file; one that is too large, with its paragraphs, is Rejected.

    Raises:
        FormatError: the file is empty, is not UTF-8, or is in another format.
    """
    beginning = stream.read(KEPT)
    rest = read_whole(stream, max(0, max_record_bytes - len(beginning)))
    if rest is None:
        yield too_large(source, "", "the text", max_record_bytes, beginning, stem_of(source))
        return
    _refuse_others(beginning + rest[:LOOKED_AT], source)
    text = decoded(beginning + rest, source)
    if not text:
        raise no_records(source, "text")
    room = (max_record_bytes - len(beginning) - len(rest)) // PART_BYTES
    passages = tuple(islice(_paragraphs(text), room + 2))
    if len(passages) > room + 1:  # one is the text itself
        what = "the text with its paragraphs"
        yield too_large(source, "", what, max_record_bytes, beginning, stem_of(source))
    else:
        yield Document(stem_of(source), text, passages=passages)


def write(documents: Iterable[Document], stream: BinaryIO) -> None:
    """Write the text of the one document in `documents`, and nothing else of it.

    Raises:
        FormatError: there are several documents, or none with text, or one that is annotated.
    """
    found = None
    for document in documents:
        if found is not None:
            raise _unwritable(document, "is not the only one, and a text file holds one")
        if document.mentions or document.relations or any(s.gold for s in document.sentences):
            raise _unwritable(document, "is annotated, and a text file holds no annotations")
        found = document
    if found is None or not found.text:
        raise FormatError("text", "", "there is no text to write", "Give it one document")
    # A reader takes the first byte order mark for the file's own; one that is text needs it before.
    mark = _MARK if found.text.startswith(_MARK) else ""
    try:
        stream.write((mark + found.text).encode())
    except UnicodeEncodeError as error:
        raise _unwritable(found, f"cannot be written as UTF-8 ({error.reason})") from error


def losses(document: Document) -> Counter[str]:
    """Count what `write` leaves out of a document, by kind."""
    found = parts_of(document, ("passages",))
    kept = {(each.start, each.end, each.kind) for each in paragraphs(document.text)}
    found["passages"] = unheld_passages(document, kept)
    return +found


def _refuse_others(beginning: bytes, source: str) -> None:
    """Raise where a file is in another format: somebody's corpus, not prose."""
    if found := format_inside(beginning):
        called = "words and tags in columns" if found == "iob2" else f"in the format {found}"
        remedy = f"Name its format, {found} (--from {found}), or give its name the suffix of one"
        raise FormatError(source, "", f"this is no text but {called}", remedy)
    if said := tool_of(beginning):
        raise FormatError(source, "", f"this is {said[0]}: it is not read here", said[1])


def paragraphs(text: str) -> tuple[Passage, ...]:
    """Return the runs of lines of `text` that are not blank, without the whitespace around each run."""
    return tuple(_paragraphs(text))


def _paragraphs(text: str) -> Iterator[Passage]:
    """Yield the paragraphs one by one: a megabyte may hold half a million."""
    position = 0
    while first := _NOT_SPACE.search(text, position):
        blank = _BLANK_LINE.search(text, first.start())
        position = blank.start() if blank else len(text)
        yield Passage(first.start(), first.start() + len(text[first.start() : position].rstrip()), "text")


def _unwritable(document: Document, problem: str) -> FormatError:
    return FormatError(f"document {document.id}", "", problem, "Write brat (a folder of texts) or jsonl")
