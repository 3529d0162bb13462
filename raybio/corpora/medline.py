"""MEDLINE: what PubMed saves as "PubMed" (`.nbib`) or "MEDLINE" text, a citation after another.

    PMID- 30108519
    TI  - A title that may continue
          in lines that begin with six blanks.
    AB  - BACKGROUND: Rats were ...
    MH  - *Oxygen Consumption

A citation becomes one Document as `pubmed_xml` makes it: its id is the PMID, its text the title (`TI`, or
a book's `BTI`), the abstract (`AB`), other abstracts (`OAB`) and the vernacular title (`TT`), joined by
single spaces. Headings of a structured abstract stand in its text and are no passages of their own.
Other fields are attributes: the well-known ones by the names that `pubmed_xml` has, the rest by their tags.
Format: https://www.nlm.nih.gov/bsd/mms/medlineelements.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from raybio.corpora.limits import MAX_RECORD_BYTES, PART_BYTES, shown, too_large
from raybio.corpora.lines import Line, scan_lines
from raybio.corpora.opening import no_records
from raybio.entities import AttributeValue, Document, Passage, Record, Rejected

_FIELD = re.compile(r"([A-Z][A-Z0-9]{1,3}) {0,2}- ?(.*)")
_ID = "PMID"
_PASSAGES = (("TI", "title"), ("BTI", "title"), ("AB", "abstract"), ("OAB", "other_abstract"))
_VERNACULAR = "TT"
_ONE = {"JT": "journal", "TA": "journal_abbreviation", "STAT": "status", "PMC": "pmc", "LR": "date_revised"}
_SEVERAL = {"PT": "publication_types", "LA": "languages", "MH": "mesh"}
_YEAR = re.compile(r"\d{4}")
_DOI = re.compile(r"(\S+) \[doi\]")
_REMEDY = "Save the citation from PubMed again, as PubMed or MEDLINE"


def read(stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield the citations of a MEDLINE file; one with a line that is no field, or too large, is Rejected.

    Raises:
        FormatError: the file holds no citation, or cannot be read on.
    """
    empty = True
    for lines, size in _records(scan_lines(stream, source, max_record_bytes), max_record_bytes):
        empty = False
        if size > max_record_bytes:
            place, what = f"line {lines[0].number}", "the citation that begins here"
            yield too_large(source, place, what, max_record_bytes, lines[0].text)
        else:
            yield _read_record(lines, source)
    if empty:
        raise no_records(source, "MEDLINE citation")


def _records(lines: Iterable[Line], max_record_bytes: int) -> Iterator[tuple[list[Line], int]]:
    """Group lines into citations, with their sizes: a PMID begins one, after a blank line or without."""
    record: list[Line] = []
    size = 0
    for line in lines:
        if not line.text.strip():
            continue
        if record and line.text.startswith(f"{_ID}-"):
            yield record, size
            record, size = [], 0
        size += line.size + PART_BYTES
        if size <= max_record_bytes or not record:
            record.append(line)
    if record:
        yield record, size


def _read_record(lines: list[Line], source: str) -> Document | Rejected:
    fields: dict[str, list[str]] = defaultdict(list)
    last = ""
    raw = "\n".join(line.text for line in lines)
    for line in lines:
        field = _FIELD.fullmatch(line.text)
        if line.fault:
            return Rejected(source, line.fault.place, line.fault.reason, line.fault.remedy, raw=raw)
        if field and not line.text[0].isspace():
            last = field[1]
            fields[last].append(field[2].strip())
        elif last and line.text[0].isspace():
            fields[last][-1] = f"{fields[last][-1]} {line.text.strip()}"
        else:
            reason = f"{shown(line.text)} is no field of MEDLINE's, TAG - VALUE"
            return Rejected(source, f"line {line.number}", reason, _REMEDY, raw=raw)
    if len(fields[_ID]) != 1:
        place = f"line {lines[0].number}"
        return Rejected(source, place, f"the citation has {len(fields[_ID])} PMIDs", _REMEDY, raw=raw)
    return _document(fields)


def _document(fields: dict[str, list[str]]) -> Document:
    (identifier,) = fields.pop(_ID)
    language = next((code for code in fields.get("LA", ()) if code != "eng"), "")
    pieces = [(kind, text, "") for tag, kind in _PASSAGES for text in fields.pop(tag, ())]
    pieces += [("vernacular_title", text, language) for text in fields.pop(_VERNACULAR, ())]
    passages = []
    position = 0
    for kind, text, code in pieces:
        passages.append(Passage(position, position + len(text), kind, language=code))
        position += len(text) + 1
    text = " ".join(text for _, text, _ in pieces)
    return Document(identifier, text, tuple(passages), attributes=_attributes(fields))


def _attributes(fields: dict[str, list[str]]) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for tag, values in fields.items():
        if tag in _ONE and len(values) == 1:
            found[_ONE[tag]] = values[0]
        elif tag in _SEVERAL:
            found[_SEVERAL[tag]] = tuple(values)
        else:
            found[tag] = tuple(values) if len(values) > 1 else values[0]
    if year := _YEAR.search(" ".join(fields.get("DP", ()))):
        found["year"] = year[0]
    identifiers = " ".join((*fields.get("LID", ()), *fields.get("AID", ())))
    if doi := _DOI.search(identifiers):
        found["doi"] = doi[1]
    return found
