r"""PubTator: a title line, an abstract line, then one line per mention and per relation.

    8701013|t|Famotidine-associated delirium. A series of six cases.
    8701013|a|Famotidine is a histamine H2-receptor antagonist ...
    8701013<TAB>0<TAB>10<TAB>Famotidine<TAB>Chemical<TAB>D015738
    8701013<TAB>CID<TAB>D015738<TAB>D003693

A blank line ends a document. Offsets are Unicode code points of title + " " + abstract, which
is the Document's text. Where a mention has no concept the column is "-", or missing. Columns after it
(tmVar's, say) are the infons "column 7" and so on. A relation names its label and two concepts; a
fifth column ("Novel" in BioRED) is a third argument, with the role "note".

Written, every line break and tab of the text becomes one space, and a mention's text is cut
from that same text: one character for one keeps every offset. The title passage goes into
the `t` line and all that follows its separating space into the `a` line; where no such space
is, the whole text is the title, since any other cut would shift offsets by one. A relation of
mentions is written as one of their concepts; without those, or with other than two arguments and a
note, it is left out.

The format holds no scores, mention ids (so no discontinuous annotations: each part is a line
of its own), relation ids and roles, versions, attributes, words, nor other passages: `losses` counts
them. It cannot tell "nobody annotated this" from "nothing was found": both read as no mentions.
Format: https://www.ncbi.nlm.nih.gov/CBBresearch/Lu/Demo/tmTools/Format.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from raybio.corpora.limits import MAX_RECORD_BYTES, PART_BYTES, shown, too_large
from raybio.corpora.lines import Line, scan_lines
from raybio.corpora.losses import parts_of, unheld_passages
from raybio.corpora.opening import no_records
from raybio.corpora.standoff import cannot_hold, check_mentions, covered, disagreement, integer
from raybio.entities import Document, Mention, Passage, Record, Rejected, Relation

_TITLE = re.compile(r"([^|\t]+)\|t\|")
_RELATION_LABEL = re.compile(r"[^\W\d]")
_ONE_SPACE = str.maketrans("\t\r\n", "   ")
_REMEDY = "Fix the line: offsets count the code points of title + ' ' + abstract"
_NOTE = "note"
_ROLES = ("", "", _NOTE)
"""Columns of a relation with a note."""
_NO_CONCEPT = "-"
_FIRST_INFON = 7
_MARK = "\ufeff"
_HELD = ("mentions", "concepts of mentions", "relations", "passages")


def read(stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield the documents of a PubTator file; one with a faulty line, or too large, is Rejected whole.

    Raises:
        FormatError: the file holds no document, or cannot be read on.
    """
    empty = True
    for lines, size in _records(scan_lines(stream, source, max_record_bytes), max_record_bytes):
        empty = False
        if size > max_record_bytes:
            document_id, place = _id_of(lines[0].text), f"line {lines[0].number}"
            what = "the document that begins here"
            yield too_large(source, place, what, max_record_bytes, lines[0].text, document_id)
        else:
            yield _read_record(lines, source)
    if empty:
        raise no_records(source, "PubTator document")


def write(documents: Iterable[Document], stream: BinaryIO) -> None:
    """Write `documents` as PubTator, UTF-8, each followed by a blank line.

    Raises:
        FormatError: an id, label or concept would break the line it stands in.
        OffsetError: a mention does not cover its text.
    """
    for document in documents:
        check_mentions(document)
        lines = "\n".join(_lines(document))
        try:
            stream.write(f"{lines}\n\n".encode())
        except UnicodeEncodeError as error:
            raise cannot_hold("UTF-8", document, "a lone surrogate", "Fix the text") from error


def losses(document: Document) -> Counter[str]:
    """Count what `write` leaves out of a document, by kind."""
    found = parts_of(document, _HELD)
    text = document.text.translate(_ONE_SPACE)
    passages = _passages(*map(len, _cut(document, text)))
    found["passages"] = unheld_passages(document, {(each.start, each.end, each.kind) for each in passages})
    held = [each for each in document.relations if _relation_columns(document, each)]
    found["relations"] = len(document.relations) - len(held)
    found["roles of relations"] -= sum(role == _NOTE for each in held for role, _ in each.arguments[2:])
    found["infons of mentions"] -= sum(len(_more_columns(each)) for each in document.mentions or ())
    found["line breaks and tabs of texts, which become spaces"] = sum(map(document.text.count, "\t\r\n"))
    return +found


def _records(lines: Iterable[Line], max_record_bytes: int) -> Iterator[tuple[list[Line], int]]:
    """Group lines into records, with their sizes; of one that is too large not all lines are there.

    A title line starts a record even where the blank line is missing.
    """
    record: list[Line] = []
    size = 0
    for line in (each._replace(text=each.text.removeprefix(_MARK)) for each in lines):
        blank = not line.text or line.text.isspace()
        if record and (blank or _TITLE.match(line.text)):
            yield record, size
            record, size = [], 0
        if not blank:
            size += line.size + PART_BYTES
            if size <= max_record_bytes or not record:
                record.append(line)
    if record:
        yield record, size


def _id_of(title_line: str) -> str:
    return re.split(r"[|\t]", title_line, maxsplit=1)[0]


def _read_record(lines: list[Line], source: str) -> Document | Rejected:
    document_id = _id_of(lines[0].text)
    mentions: list[Mention] = []
    relations: list[Relation] = []
    if fault := next((line.fault for line in lines if line.fault), None):
        return replace(fault, document_id=document_id, raw="\n".join(line.text for line in lines))
    at = lines[0].number
    try:
        text, passages, rest = _read_text([line.text for line in lines])
        before = len(lines) - len(rest)
        for at, line in enumerate(rest, lines[0].number + before):  # noqa: B007 (the line at fault, below)
            columns = line.split("\t")
            if columns[0] != document_id:
                raise ValueError(f"the line belongs to no title line: its id is {columns[0][:80]!r}")
            if _is_relation(columns):
                relations.append(Relation(columns[1], tuple(zip(_ROLES, columns[2:], strict=False))))
            else:
                mentions.append(_read_mention(columns, text))
    except ValueError as fault:
        raw = "\n".join(line.text for line in lines)
        return Rejected(source, f"line {at}", str(fault), _REMEDY, document_id, raw)
    return Document(document_id, text, passages, tuple(mentions), relations=tuple(relations))


def _read_text(lines: list[str]) -> tuple[str, tuple[Passage, ...], list[str]]:
    """Return the text, its passages, and the lines after the title's and the abstract's."""
    match = _TITLE.match(lines[0])
    if match is None:
        raise ValueError(f"a document begins with ID|t|TITLE, not with {lines[0][:80]!r}")
    title = lines[0][match.end() :]
    marker = f"{match[1]}|a|"
    has_abstract = len(lines) > 1 and lines[1].startswith(marker)
    abstract = lines[1].removeprefix(marker) if has_abstract else ""
    text = f"{title} {abstract}" if abstract else title
    return text, _passages(len(title), len(abstract)), lines[1 + has_abstract :]


def _passages(title: int, abstract: int) -> tuple[Passage, ...]:
    """Return the passages of a title and an abstract of so many characters."""
    passages = Passage(0, title, "title"), Passage(title + 1, title + 1 + abstract, "abstract")
    return tuple(each for each in passages if each.start < each.end)


def _is_relation(columns: list[str]) -> bool:
    return len(columns) in (4, 5) and _RELATION_LABEL.match(columns[1]) is not None


def _read_mention(columns: list[str], text: str) -> Mention:
    if len(columns) < 5:
        raise ValueError(f"a mention has at least 5 columns separated by tabs; here are {len(columns)}")
    start, end = integer(columns[1], "start"), integer(columns[2], "end")
    said, label = columns[3:5]
    if not label:
        raise ValueError(f"the mention {shown(said)} has no label")
    found = covered(text, start, end)
    if found != said:
        raise disagreement(start, end, said, found)
    concept = columns[5] if len(columns) > 5 and columns[5] != _NO_CONCEPT else ""
    infons = {f"column {number}": said for number, said in enumerate(columns[6:], _FIRST_INFON)}
    return Mention(start, end, label, found, concept=concept, infons=infons)


def _lines(document: Document) -> Iterator[str]:
    text = document.text.translate(_ONE_SPACE)
    title, abstract = _cut(document, text)
    # A byte order mark would be lost from the first id of a file.
    if not _is_plain(document.id) or "|" in document.id or document.id.startswith("\ufeff"):
        raise cannot_hold("PubTator", document, "this id", "Use an id without '|', tabs and line breaks")
    yield f"{document.id}|t|{title}"
    yield f"{document.id}|a|{abstract}"
    for mention in document.mentions or ():
        yield "\t".join((_line(document, *_mention_columns(mention, text)), *_more_columns(mention)))
    for relation in document.relations:
        if columns := _relation_columns(document, relation):
            yield "\t".join(columns)


def _cut(document: Document, text: str) -> tuple[str, str]:
    """Return the title and abstract that, joined by a space, are `text` (or all of it, and nothing)."""
    first = document.passages[0] if document.passages else None
    end = first.end if first and first.kind == "title" else 0
    if text[end : end + 1] == " " and text[end + 1 :]:
        return text[:end], text[end + 1 :]
    return text, ""


def _mention_columns(mention: Mention, text: str) -> list[str]:
    place = [str(mention.start), str(mention.end), text[mention.start : mention.end]]
    return [*place, mention.label, mention.concept or _NO_CONCEPT]


def _more_columns(mention: Mention) -> list[str]:
    """Return the columns after the concept: as many as come one after another and fit into a line."""
    columns: list[str] = []
    while isinstance(said := mention.infons.get(f"column {len(columns) + _FIRST_INFON}"), str):
        if said != said.translate(_ONE_SPACE):
            break
        columns.append(said)
    return columns


def _relation_columns(document: Document, relation: Relation) -> list[str]:
    """Return the columns of a relation's line; none where there is no such line."""
    concepts = {mention.id: mention.concept for mention in document.mentions or () if mention.id}
    references = [concepts.get(reference, reference) for _, reference in relation.arguments]
    columns = [document.id, relation.label, *references]
    return columns if _is_relation(columns) and all(map(_is_plain, columns)) else []


def _line(document: Document, *columns: str) -> str:
    for column in columns:
        if not _is_plain(column):
            remedy = "Labels and references are not empty, and have no tabs and line breaks"
            raise cannot_hold("PubTator", document, f"the column {column!r}", remedy)
    return "\t".join((document.id, *columns))


def _is_plain(column: str) -> bool:
    """Say whether `column` survives in a line: it is not empty and has no tab or line break."""
    return column != "" and column == column.translate(_ONE_SPACE)
