"""PubMed's XML: citations, books and deletion notices, as NLM ships them and as efetch returns them.

Format: https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd

A citation becomes one Document; its id is the PMID. Its text is one line: title, abstract sections,
other abstracts and vernacular title, joined by single spaces. A section with a heading stands
there as "METHODS: Rats were ...", as PubTator shows it, and its Passage covers what follows the
heading only. Copyright notices are left out.

Markup inside a text is dropped and its content kept where it stands, with nothing added:
`CO<sub>2</sub>` gives "CO2", `10<sup>-6</sup>` gives "10-6", MathML gives the text of its elements
without the white space between them.
Only a displayed formula (`<DispFormula>`) is set off by spaces. Runs of white space, line breaks and
non-breaking spaces among them, become one space. Characters are never normalised (NFC or other).

A file is read in constant memory. Deletion notices stand at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from lxml import etree

from raybio.corpora.limits import MAX_RECORD_BYTES
from raybio.corpora.xml_records import REMEDY, Element, Grammar, read_records
from raybio.entities import AttributeValue, Deletion, Document, Passage, Record, Rejected

_DELETIONS = "DeleteCitation"
_REPORT = "Report it to NLM, or fix it and read it again"
_YEAR = re.compile(r"\d{4}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_GRAMMAR = Grammar(
    ("PubmedArticle", "PubmedBookArticle", _DELETIONS),
    {
        "PubmedArticleSet": "PubmedArticle* PubmedBookArticle* DeleteCitation*",
        "PubmedArticle": "MedlineCitation PubmedData",
        "PubmedBookArticle": "BookDocument PubmedBookData",
        "DeleteCitation": "PMID",
        # DateCreated and an article's Affiliation are of older DTDs.
        "MedlineCitation": (
            "PMID DateCreated DateCompleted DateRevised Article MedlineJournalInfo "
            "ChemicalList SupplMeshList CitationSubset CommentsCorrectionsList GeneSymbolList "
            "MeshHeadingList NumberOfReferences PersonalNameSubjectList OtherID "
            "OtherAbstract* KeywordList CoiStatement SpaceFlightMission InvestigatorList "
            "GeneralNote"
        ),
        "Article": (
            "Journal ArticleTitle Pagination ELocationID Abstract Affiliation AuthorList "
            "Language DataBankList GrantList PublicationTypeList VernacularTitle ArticleDate"
        ),
        "BookDocument": (
            "PMID ArticleIdList Book LocationLabel ArticleTitle VernacularTitle Pagination "
            "Language AuthorList InvestigatorList PublicationType Abstract Sections "
            "KeywordList ContributionDate DateRevised GrantList ItemList ReferenceList"
        ),
        "Book": (
            "Publisher BookTitle PubDate BeginningDate EndingDate AuthorList InvestigatorList "
            "Volume VolumeTitle Edition CollectionTitle Isbn ELocationID Medium ReportNumber"
        ),
        "Abstract": "AbstractText* CopyrightInformation",
        "OtherAbstract": "AbstractText* CopyrightInformation",
        **dict.fromkeys(("ArticleTitle", "AbstractText", "VernacularTitle", "BookTitle"), "#PCDATA"),
    },
)


def read(stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield the file's citations, books and deletions.

    A citation without abstract has a title passage only; one without title too has the text "".
    One that cannot be read, for want of a PMID say, or that holds text where no DTD of NLM's has
    any, is yielded as Rejected with its whole XML.

    Raises:
        FormatError: the XML is broken or a record too large (those before it have been yielded), it
            declares entities of its own, or holds no citation and no deletion at all.
    """
    position = 0
    for found in read_records(stream, source, _GRAMMAR, "PubMed citation", _called, max_record_bytes):
        if isinstance(found, Rejected):
            yield found
        elif found.tag == _DELETIONS:
            yield from _deletions(found, source)
        else:
            position += 1
            yield _record(found, source, f"record {position}")


class _UnreadableError(ValueError):
    """Why one citation cannot be read."""


def _record(element: Element, source: str, place: str) -> Document | Rejected:
    if fault := _GRAMMAR.fault_of(element):
        return _rejected(element, source, place, fault, REMEDY)
    try:
        return _document(element)
    except _UnreadableError as error:
        return _rejected(element, source, place, str(error))


def _deletions(element: Element, source: str) -> Iterator[Deletion | Rejected]:
    if fault := _GRAMMAR.fault_of(element):
        yield _rejected(element, source, "deletions", fault, REMEDY)
        return
    for number, pmid in enumerate(element.iterfind("PMID"), start=1):
        try:
            yield Deletion(*_identity(pmid))
        except _UnreadableError as error:
            yield _rejected(pmid, source, f"deletion {number}", str(error))


def _rejected(element: Element, source: str, place: str, reason: str, remedy: str = _REPORT) -> Rejected:
    raw = etree.tostring(element, encoding="unicode", with_tail=False)
    return Rejected(source, place, reason, remedy, _pmid_text(element), raw)


def _pmid_text(element: Element) -> str:
    return (element.findtext("MedlineCitation/PMID") or element.findtext("BookDocument/PMID") or "").strip()


def _called(element: Element) -> str:
    pmid = _pmid_text(element)
    return pmid and f"PMID {pmid}"


def _identity(pmid: Element | None) -> tuple[str, int]:
    if pmid is None:
        raise _UnreadableError("the citation has no PMID")
    identifier, version = _text(pmid), pmid.get("Version", "1")
    if not _NUMBER.fullmatch(identifier) or not _NUMBER.fullmatch(version):
        raise _UnreadableError(
            f"PMID {identifier!r}, version {version!r}: both must be numbers of at most 9 digits"
        )
    return identifier, int(version)


def _document(element: Element) -> Document:
    citation = element.find("MedlineCitation")
    if citation is None:
        citation = element.find("BookDocument")
    if citation is None:
        raise _UnreadableError("there is neither a MedlineCitation nor a BookDocument in it")
    identifier, version = _identity(citation.find("PMID"))
    # What an article has in Article (title, abstract, language), a book has in BookDocument itself.
    article = citation.find("Article")
    body = citation if article is None else article
    attributes = _attributes(element, citation, body)
    title = body.find("ArticleTitle")
    text = _Text()
    text.add(_text(body.find("Book/BookTitle") if title is None else title), "title", language="eng")
    text.add_sections(body.find("Abstract"), "abstract", language="eng")
    for other in citation.iterfind("OtherAbstract"):
        text.add_sections(other, "other_abstract", other.get("Type", ""), other.get("Language", ""))
    original = next((language for language in attributes.get("languages", ()) if language != "eng"), "")
    text.add(_text(body.find("VernacularTitle")), "vernacular_title", language=original)
    return Document(
        identifier, " ".join(text.pieces), tuple(text.passages), version=version, attributes=attributes
    )


class _Text:
    """A document's text as it grows: pieces to be joined by single spaces, and where passages lie."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.passages: list[Passage] = []
        self._length = 0

    def add(self, text: str, kind: str, label: str = "", heading: str = "", language: str = "") -> None:
        """Append `text`, unless it is empty, with its `heading` before it and outside its passage."""
        if not text:
            return
        for piece in (f"{heading}:", text) if heading else (text,):
            start = self._length + bool(self.pieces)
            self.pieces.append(piece)
            self._length = start + len(piece)
        self.passages.append(Passage(start, self._length, kind, label or heading, language))

    def add_sections(self, abstract: Element | None, kind: str, label: str = "", language: str = "") -> None:
        """Append each AbstractText of `abstract`; `label` names the sections without a heading."""
        for section in () if abstract is None else abstract.iterfind("AbstractText"):
            heading = " ".join(section.get("Label", "").split())
            self.add(_text(section), kind, heading or label, heading, language)


def _text(element: Element | None) -> str:
    """Return the text in `element` without its markup, on one line."""
    return "" if element is None else " ".join("".join(_pieces(element)).split())


def _pieces(element: Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if isinstance(child, etree._Entity):
            raise _UnreadableError(f"nothing says what the entity {child.text} in its text means")
        space = " " if child.tag == "DispFormula" else ""
        yield space
        yield from _formula(child) if etree.QName(child).localname == "math" else _pieces(child)
        yield space
        yield child.tail or ""


def _formula(element: Element) -> Iterator[str]:
    """Yield the text of a formula in MathML: white space between its elements only lays out the XML."""
    if (entity := next(element.iter(etree.Entity), None)) is not None:
        raise _UnreadableError(f"nothing says what the entity {entity.text} in its text means")
    for text in element.itertext():
        yield text.strip() if "\n" in text or text.isspace() else text


def _texts(elements: Iterator[Element]) -> Iterator[str]:
    return filter(None, map(_text, elements))


def _attributes(element: Element, citation: Element, body: Element) -> dict[str, AttributeValue]:
    """Return what else is known, by the names below; what is missing or empty is left out.

    `year` is the first of a range ("1998 Dec-1999 Jan"), `mesh` holds descriptors as
    "D008297:Male", `date_revised` is "2026-01-31".
    """
    year = _YEAR.search(_text(body.find(".//PubDate")))
    identifiers = {item.get("IdType"): _text(item) for item in element.iterfind("*/ArticleIdList/ArticleId")}
    locations = {item.get("EIdType"): _text(item) for item in body.iterfind("ELocationID")}
    descriptors = citation.iterfind("MeshHeadingList/MeshHeading/DescriptorName")
    found: dict[str, AttributeValue] = {
        "journal": _text(body.find("Journal/Title")),
        "journal_abbreviation": _text(body.find("Journal/ISOAbbreviation")),
        "book": _text(body.find("Book/BookTitle")),
        "year": year[0] if year else "",
        "publication_types": tuple(_texts(body.iter("PublicationType"))),
        "mesh": tuple(f"{name.get('UI', '')}:{_text(name)}" for name in descriptors),
        "languages": tuple(_texts(body.iterfind("Language"))),
        "doi": locations.get("doi") or identifiers.get("doi", ""),
        "pmc": identifiers.get("pmc", ""),
        "status": citation.get("Status", ""),
        "date_revised": "-".join(_texts(citation.iterfind("DateRevised/*"))),
    }
    return {name: value for name, value in found.items() if value}
