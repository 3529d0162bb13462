"""MEDLINE as PubMed saves it."""

import io

import pytest

from raybio.corpora import medline
from raybio.entities import Passage, Rejected
from raybio.errors import FormatError

TWO = """
PMID- 7
OWN - NLM
STAT- MEDLINE
LR  - 20260131
DP  - 1998 Dec-1999 Jan
TI  - β-Blockers in
      rats.
LID - 10.1/x [doi]
AB  - BACKGROUND: They cause
      emesis.
FAU - Mustermann, E
AU  - Mustermann E
AU  - Doe J
LA  - ger
PT  - Journal Article
TT  - β-Blocker bei Ratten.
MH  - Animals
MH  - *Rats
JT  - The Journal

PMID- 8
TI  - Alone.
"""


def read(text: str, **options) -> list:
    return list(medline.read(io.BytesIO(text.encode()), "x.nbib", **options))


def test_a_citation_is_read_as_from_xml():
    first, second = read(TWO)
    assert first.id == "7"
    assert first.text == "β-Blockers in rats. BACKGROUND: They cause emesis. β-Blocker bei Ratten."
    assert first.passages == (
        Passage(0, 19, "title"),
        Passage(20, 50, "abstract"),
        Passage(51, 72, "vernacular_title", language="ger"),
    )
    assert first.mentions is None
    assert first.attributes == {
        "OWN": "NLM",
        "status": "MEDLINE",
        "date_revised": "20260131",
        "DP": "1998 Dec-1999 Jan",
        "year": "1998",
        "LID": "10.1/x [doi]",
        "doi": "10.1/x",
        "FAU": "Mustermann, E",
        "AU": ("Mustermann E", "Doe J"),
        "languages": ("ger",),
        "publication_types": ("Journal Article",),
        "mesh": ("Animals", "*Rats"),
        "journal": "The Journal",
    }
    assert (second.id, second.text) == ("8", "Alone.")


def test_line_ends_and_missing_blank_lines_do_not_matter():
    assert (
        read(TWO.replace("\n", "\r\n"))
        == read(TWO.replace("\n\n", "\n"))
        == read("\ufeff" + TWO)
        == read(TWO)
    )


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (TWO.replace("OWN - NLM", "what is this"), "'what is this' is no field of MEDLINE's, TAG - VALUE"),
        (TWO.replace("PMID- 7", "OCI - 7"), "the citation has 0 PMIDs"),
    ],
)
def test_a_citation_at_fault_is_rejected_alone(broken, reason):
    bad, good = read(broken)
    assert isinstance(bad, Rejected)
    assert bad.reason == reason
    assert good.id == "8"


def test_a_citation_that_is_too_large_is_rejected_alone():
    bad, good = read(TWO, max_record_bytes=200)
    assert "is larger than max_record_bytes=200" in bad.reason
    assert good.id == "8"


def test_an_empty_file_is_an_error():
    with pytest.raises(FormatError, match="holds no MEDLINE citation"):
        read("\n")
