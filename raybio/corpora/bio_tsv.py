"""The "iob2" format: one word a line with its tag, a blank line between sentences.

Columns are separated by tabs where a line has one, else by spaces; the first is the word and the last its
tag, so that two columns (`word tag`) and four (`word pos chunk tag`, as CoNLL-2003 has it) both read, and
all lines of a file have as many. Columns between are not kept. A line that starts with `-DOCSTART-` begins
a document of several sentences; without one nothing in the file says where a document ends, so each
sentence is a Document of its own. Lines end in "\\n" or "\\r\\n" and nothing else: a word may hold U+2028
or U+0085.
Tags of other label schemes (IOB1, IO, BIOES, BILOU, other spellings) are read too, as IOB2: a file's tags
say which (see `label_schemes`), and so does the documents' attribute "tag_scheme", where it is not IOB2.
IOB1 is what has an `I-` that begins an entity, and no `B-` but right after an entity of its label.

The text is the words joined by one space and the sentences by one newline. Ids are
`{file stem}:{line of the first word}`, for sentences and for documents.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from raybio.corpora.limits import MAX_RECORD_BYTES, too_large, too_large_error
from raybio.corpora.lines import scan_lines
from raybio.corpora.losses import parts_of, unheld_passages
from raybio.corpora.opening import no_records, read_twice, stem_of
from raybio.corpora.tag_scheme import FileScheme, scheme_of_file
from raybio.corpora.word_columns import DOCUMENT_START, blocks, columns_of
from raybio.corpora.word_layout import gold_mentions, lay_out
from raybio.entities import Document, Passage, Record, Rejected, Sentence, Span
from raybio.errors import FormatError, InputError
from raybio.iob2 import check_tags, repair_tags, spans_from_tags, tags_from_spans

_UNHOLDABLE = re.compile(r"[ \t\r\n]|^-DOCSTART-|^$")
_MARK = "\ufeff"
_NOTES = {"tag_scheme", "repaired_tags"}


class TaggedSentence(NamedTuple):
    """A sentence as its file has it: the line of its first word, its words, and its tags as written.

    `document` counts the `-DOCSTART-` lines before it; 0 is none.
    """

    first_line: int
    words: list[str]
    tags: list[str]
    document: int


def read(
    stream: BinaryIO,
    source: str,
    repair: bool = False,
    labels: Collection[str] | None = None,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Iterator[Record]:
    """Yield a Document per `-DOCSTART-` (or per sentence), and a Rejected per sentence that is at fault.

    At fault is a sentence with a line that is not a word and a tag, with a tag outside the file's scheme or
    (when given) outside `labels`, or with an `I-` that continues nothing. With `repair` the
    last become `B-`, and their number stands in the document's attribute "repaired_tags".
    A document that is too large is Rejected whole.

    Raises:
        FormatError: the file is empty, or ends in the middle of its gzip data.
    """
    with read_twice(stream) as stream:
        scheme = scheme_of_file(_tags_seen(stream, source, max_record_bytes), source, repair)
        stream.seek(0)
        yield from _documents(stream, source, scheme, repair, labels, max_record_bytes)


def _documents(
    stream: BinaryIO,
    source: str,
    scheme: FileScheme,
    repair: bool,
    labels: Collection[str] | None,
    max_record_bytes: int,
) -> Iterator[Record]:
    draft = _Draft(source, scheme, max_record_bytes)
    seen = False
    try:
        for block in blocks(scan_lines(stream, source, max_record_bytes), max_record_bytes):
            seen = True
            if block.document == 0 or block.document != draft.document:
                yield from draft.finish()
                draft = _Draft(source, scheme, max_record_bytes, block.document, block.first_line)
            if block.size > max_record_bytes:
                place, what = f"line {block.first_line}", "the sentence that begins here"
                yield too_large(source, place, what, max_record_bytes, block.lines[0], draft.id)
                continue
            if block.fault:
                raw = "\n".join(block.lines)
                yield replace(block.fault, document_id=draft.id, raw=raw)
                continue
            if not draft.has_room(block.size):
                continue
            try:
                words, tags = columns_of(block, source)
                tags = scheme.as_iob2(tags)
                repaired, repairs = repair_tags(tags) if repair else (tags, 0)
                check_tags(repaired, source, block.first_line, labels)
            except InputError as error:
                raw = "\n".join(block.lines)
                yield Rejected(error.source, error.place, error.problem, error.remedy, draft.id, raw)
            else:
                draft.add(block.first_line, words, spans_from_tags(repaired), repairs)
    except InputError:
        # Nothing can be read from here on; what was is kept.
        yield from draft.finish()
        raise
    yield from draft.finish()
    if not seen:
        raise no_records(source, "sentence")


def read_tagged_sentences(stream: BinaryIO, source: str) -> Iterator[TaggedSentence]:
    """Yield each sentence with its tags exactly as written, legal or not.

    Raises:
        FormatError: a line is not a word and a tag, or the file cannot be read on or is empty.
    """
    block = None
    for block in blocks(scan_lines(stream, source, MAX_RECORD_BYTES), MAX_RECORD_BYTES):
        if block.size > MAX_RECORD_BYTES:
            place = f"line {block.first_line}"
            raise too_large_error(source, place, "the sentence that begins here", MAX_RECORD_BYTES)
        if fault := block.fault:
            raise FormatError(source, fault.place, fault.reason, fault.remedy)
        yield TaggedSentence(block.first_line, *columns_of(block, source), block.document)
    if block is None:
        raise no_records(source, "sentence")


def write(documents: Iterable[Document], stream: BinaryIO) -> None:
    """Write word, tab and tag a line; a blank line follows each sentence.

    From the first document of several sentences on, a `-DOCSTART-` line opens each document.

    Raises:
        FormatError: a document has no sentences, a sentence no gold spans or overlapping ones,
            or a word or label is one that the format cannot hold.
    """
    marked = False
    begun = False
    for document in documents:
        if not document.sentences:
            raise _unwritable(document, "has no sentences", "Split it into sentences and words first")
        marked = marked or len(document.sentences) > 1
        if marked:
            stream.write(f"{DOCUMENT_START}\tO\n\n".encode())
        for sentence in document.sentences:
            rows = zip(sentence.words, _tags(document, sentence), strict=True)
            # A reader takes the first byte order mark for the file's own; one that is a word needs it before.
            if not (begun or marked) and sentence.words[0].startswith(_MARK):
                stream.write(_MARK.encode())
            begun = True
            stream.write("".join(f"{word}\t{tag}\n" for word, tag in rows).encode() + b"\n")


def losses(document: Document) -> Counter[str]:
    """Count what `write` leaves out of a document, by kind, mentions that fit no words aside."""
    found = parts_of(document, ("mentions", "sentences and words", "passages"))
    found["passages"] = unheld_passages(document, {(0, len(document.text), "text")})
    found["attributes of documents"] -= len(_NOTES & document.attributes.keys())
    # An id of ours is made again from the line: the first sentence's, or that of the line before it.
    first = document.sentences[0].id if document.sentences else f"{document.id}:"
    found["ids of documents"] = int(first.startswith(f"{document.id}:"))
    words = [word for sentence in document.sentences for word in sentence.words]
    found["characters outside of sentences"] = _characters(document.text) - _characters(" ".join(words))
    return +found


def _characters(text: str) -> int:
    """Count the characters that are no white space."""
    return sum(map(len, text.split()))


def _tags_seen(stream: BinaryIO, source: str, max_record_bytes: int) -> Iterator[list[str]]:
    """Yield the tags of each sentence that can be read; what cannot is reported when it is read again."""
    with suppress(InputError):
        for block in blocks(scan_lines(stream, source, max_record_bytes), max_record_bytes):
            with suppress(InputError):
                if not block.fault and block.size <= max_record_bytes:
                    yield columns_of(block, source)[1]


class _Draft:
    """A document in the making."""

    def __init__(
        self, source: str, scheme: FileScheme, max_bytes: int, document: int = 0, first_line: int = 0
    ) -> None:
        self.source = source
        self.scheme = scheme.name
        self.max_bytes = max_bytes
        self.size = 0
        self.document = document
        self.first_line = first_line
        self.stem = stem_of(source)
        self.id = f"{self.stem}:{first_line}"
        self.sentences: list[tuple[str, list[str], list[Span]]] = []
        self.repairs = 0

    def add(self, first_line: int, words: list[str], gold: list[Span], repairs: int) -> None:
        self.sentences.append((f"{self.stem}:{first_line}", words, gold))
        self.repairs += repairs

    def has_room(self, size: int) -> bool:
        """Count a sentence of `size`; say whether the document may hold it, and forget one that may not."""
        self.size += size
        if self.size > self.max_bytes:
            self.sentences.clear()
        return self.size <= self.max_bytes

    def finish(self) -> Iterator[Document | Rejected]:
        """Yield the document, if any sentence came."""
        if self.size > self.max_bytes:
            place, what = f"line {self.first_line}", "the document whose sentences begin here"
            yield too_large(self.source, place, what, self.max_bytes, "", self.id)
        if not self.sentences:
            return
        noted = {"repaired_tags": self.repairs or "", "tag_scheme": self.scheme.replace("IOB2", "")}
        text, starts = lay_out(words for _, words, _ in self.sentences)
        sentences = tuple(
            Sentence(name, tuple(words), where, self.id, tuple(gold))
            for (name, words, gold), where in zip(self.sentences, starts, strict=True)
        )
        yield Document(
            self.id,
            text,
            passages=(Passage(0, len(text), "text"),),
            mentions=gold_mentions(text, sentences),
            sentences=sentences,
            attributes={name: str(value) for name, value in noted.items() if value},
        )


def _tags(document: Document, sentence: Sentence) -> list[str]:
    if sentence.gold is None:
        raise _unwritable(document, f"sentence {sentence.id} was never annotated", "Tag it first")
    for piece in (*sentence.words, *(span.label for span in sentence.gold)):
        if _UNHOLDABLE.search(piece):
            raise _unwritable(document, f"{piece!r} has no place in columns", "Write jsonl instead")
    if not sentence.words:
        raise _unwritable(document, f"sentence {sentence.id} has no words", "Leave it out")
    try:
        return tags_from_spans(sentence.gold, len(sentence))
    except ValueError as error:
        raise _unwritable(document, str(error), "IOB2 holds one tag a word; write jsonl instead") from error


def _unwritable(document: Document, problem: str, remedy: str) -> FormatError:
    return FormatError(f"document {document.id}", "", problem, remedy)
