"""One citation of the sample dump, as NLM's XML has it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from random import Random
from typing import TypeAlias
from xml.sax.saxutils import escape

from raybio.corpora.sample_lexicon import Piece

Sections: TypeAlias = list[tuple[str, list[Piece]]]

FIRST_PMID = 90_000_001

_ION = re.compile(r"([A-Z][a-z]?)(\d\+)")
_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d?)+")
_LATIN_NAME = re.compile(r"(?:[A-Z]\.|[A-Z][a-z]+) (?!mice|rats|hamsters)[a-z]+")

_JOURNALS = (
    ("Annals of synthetic pharmacology", "Ann Synth Pharmacol", "9900001", "0000-0019"),
    ("Journal of imaginary medicine", "J Imag Med", "9900002", "0000-0027"),
    ("Invented genetics letters", "Invent Genet Lett", "9900003", "0000-0035"),
)
_AUTHORS = ("Adlervik", "Bréchaud", "Castellón", "Dworzak", "Eskelä")
_PUBLICATION_TYPES = (("D016428", "Journal Article"), ("D016454", "Review"))
_MESH = (("D006801", "Humans"), ("D000818", "Animals"), ("D005260", "Female"), ("D008297", "Male"))
_OTHER_LANGUAGES = (
    ("spa", "Un ensayo inventado.", "Los grupos no mostraron diferencias en el seguimiento."),
    ("ger", "Eine erfundene Prüfung.", "Die Gruppen unterschieden sich während der Beobachtung nicht."),
    ("fre", "Un essai imaginé.", "Les groupes n'ont pas différé au cours du suivi."),
)

_CITATION = """<PubmedArticle>
<MedlineCitation Status="MEDLINE" IndexingMethod="Automated" Owner="NLM">
<PMID Version="{version}">{pmid}</PMID>
<DateRevised><Year>{revised}</Year><Month>{month:02}</Month><Day>15</Day></DateRevised>
<Article PubModel="Print">
<Journal><ISSN IssnType="Print">{issn}</ISSN><JournalIssue CitedMedium="Print"><Volume>{volume}</Volume>\
<Issue>{month}</Issue><PubDate><Year>{year}</Year></PubDate></JournalIssue>\
<Title>{journal}</Title><ISOAbbreviation>{abbreviation}</ISOAbbreviation></Journal>
<ArticleTitle>{title}</ArticleTitle>
{abstract}
<AuthorList CompleteYN="Y">{authors}</AuthorList>
<Language>{language}</Language>
<PublicationTypeList>{publication_types}</PublicationTypeList>
{vernacular_title}
</Article>
<MedlineJournalInfo><Country>Norway</Country><MedlineTA>{abbreviation}</MedlineTA>\
<NlmUniqueID>{nlm_id}</NlmUniqueID><ISSNLinking>{issn}</ISSNLinking></MedlineJournalInfo>
<CitationSubset>IM</CitationSubset>
<MeshHeadingList>{mesh}</MeshHeadingList>
{other_abstract}
</MedlineCitation>
<PubmedData><PublicationStatus>ppublish</PublicationStatus>\
<ArticleIdList><ArticleId IdType="pubmed">{pmid}</ArticleId></ArticleIdList></PubmedData>
</PubmedArticle>
"""


def identity(index: int) -> tuple[int, int]:
    """Return the PubMed id and the version of citation `index`."""
    revises = index % 50 == 49
    return FIRST_PMID + index - revises, 1 + revises


def in_other_language(index: int) -> bool:
    """Say whether citation `index` was published in another language than English."""
    return index % 7 == 6


def citation_xml(index: int, rng: Random, title: list[Piece], sections: Sections) -> str:
    """Return one `PubmedArticle`, dated by `rng`; its abstract is left out where `sections` is empty."""
    pmid, version = identity(index)
    journal, abbreviation, nlm_id, issn = _JOURNALS[index % len(_JOURNALS)]
    language, vernacular, second_abstract = _OTHER_LANGUAGES[index % len(_OTHER_LANGUAGES)]
    foreign = in_other_language(index)
    year = 2000 + int(rng.random() * 25)
    abstract = "".join(_abstract_text(_xml(pieces), label) for label, pieces in sections)
    return _CITATION.format(
        pmid=pmid,
        version=version,
        revised=2024 + version,
        year=year,
        month=1 + int(rng.random() * 12),
        volume=year - 1990,
        journal=journal,
        abbreviation=abbreviation,
        nlm_id=nlm_id,
        issn=issn,
        title=_xml(title),
        abstract=f"<Abstract>{abstract}</Abstract>" if abstract else "",
        authors="".join(
            f'<Author ValidYN="Y"><LastName>{name}</LastName><Initials>{name[0]}</Initials></Author>'
            for name in _AUTHORS[index % 4 : index % 4 + 2]
        ),
        language=language if foreign else "eng",
        publication_types="".join(
            f'<PublicationType UI="{ui}">{name}</PublicationType>'
            for ui, name in _PUBLICATION_TYPES[: 1 + index % 2]
        ),
        vernacular_title=f"<VernacularTitle>{vernacular}</VernacularTitle>" if foreign else "",
        mesh="".join(
            f'<MeshHeading><DescriptorName UI="{ui}" MajorTopicYN="N">{name}</DescriptorName></MeshHeading>'
            for ui, name in _MESH[index % 3 : index % 3 + 2]
        ),
        other_abstract=f'<OtherAbstract Type="Publisher" Language="{language}">'
        f"{_abstract_text(second_abstract)}</OtherAbstract>"
        if index % 10 == 4
        else "",
    )


def _abstract_text(xml: str, label: str = "") -> str:
    heading = f' Label="{label}" NlmCategory="{label}"' if label else ""
    return f"<AbstractText{heading}>{xml}</AbstractText>"


def _xml(pieces: Iterable[Piece]) -> str:
    return "".join(_marked_up(text, label) for text, label in pieces)


@lru_cache(maxsize=1 << 14)
def _marked_up(text: str, label: str) -> str:
    """Return `text` as XML: `Ca<sup>2+</sup>`, `H<sub>2</sub>O<sub>2</sub>`, `<i>E. coli</i>`."""
    if label == "Chemical" and (ion := _ION.fullmatch(text)):
        return f"{ion[1]}<sup>{ion[2]}</sup>"
    if label == "Chemical" and _FORMULA.fullmatch(text):
        return re.sub(r"\d", r"<sub>\g<0></sub>", text)
    if label == "Species" and _LATIN_NAME.fullmatch(text):
        return f"<i>{text}</i>"
    return escape(text)
