import gzip
import io
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from raybio.corpora import read_corpus
from raybio.corpora.opening import open_bytes
from raybio.corpora.pubmed_xml import read
from raybio.entities import Deletion, Document, Record, Rejected
from raybio.errors import FormatError

HAND_WRITTEN = Path(__file__).parents[2] / "data" / "pubmed_hand_written.xml"


def read_file(path: Path) -> list[Record]:
    with open_bytes(str(path)) as stream:
        return list(read(stream, path.name))


def read_bytes(xml: bytes) -> list[Record]:
    return list(read(io.BytesIO(xml), "x.xml"))


def passages(document: Record) -> list[tuple[str, str, str, str]]:
    assert isinstance(document, Document)
    return [(p.kind, p.label, p.language, document.passage_text(p)) for p in document.passages]


def citation(pmid: int) -> bytes:
    return (
        b'<PubmedArticle><MedlineCitation><PMID Version="1">%d</PMID><Article><ArticleTitle>A title.'
        b"</ArticleTitle><Abstract><AbstractText>%s</AbstractText></Abstract></Article></MedlineCitation>"
        b"</PubmedArticle>\n" % (pmid, b"Some words. " * 40)
    )


def citations(count: int) -> bytes:
    return b"<PubmedArticleSet>" + b"".join(map(citation, range(1, count + 1))) + b"</PubmedArticleSet>"


class Pieces(io.RawIOBase):
    """A file that is never whole in memory."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = iter(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = next(self.pieces, b"")
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.fixture(scope="module")
def hand_written() -> dict[str, Record]:
    records = read_file(HAND_WRITTEN)
    return {
        getattr(record, "id", "") or f"{type(record).__name__} {i}": record
        for i, record in enumerate(records)
    }


def test_structured_abstract_keeps_its_labels_in_the_text_and_out_of_the_passages(hand_written):
    document = hand_written["101"]
    assert document.text == "A structured abstract. OBJECTIVE: To test. No label here."
    assert passages(document) == [
        ("title", "", "eng", "A structured abstract."),
        ("abstract", "OBJECTIVE", "eng", "To test."),
        ("abstract", "", "eng", "No label here."),
    ]


def test_attributes(hand_written):
    assert hand_written["101"].attributes == {
        "journal": "Journal of Tests",
        "journal_abbreviation": "J Tests",
        "year": "1998",
        "publication_types": ("Journal Article",),
        "mesh": ("D008297:Male",),
        "languages": ("eng",),
        "doi": "10.1/x",
        "pmc": "PMC7",
        "status": "MEDLINE",
        "date_revised": "2020-02-03",
    }


def test_inline_markup_becomes_text_and_is_never_normalised(hand_written):
    document = hand_written["102"]
    assert document.version == 2
    assert document.text == ("CO2 at 10-6 M in E. coli β-cells & more. Given x=1 where p2 cafe\u0301 xy.")


def test_other_abstract_and_vernacular_title(hand_written):
    document = hand_written["103"]
    assert document.text == "[A foreign article]. BUT: Tester. Fin. Un article étranger."
    assert passages(document) == [
        ("title", "", "eng", "[A foreign article]."),
        ("other_abstract", "BUT", "fre", "Tester."),
        ("other_abstract", "Publisher", "fre", "Fin."),
        ("vernacular_title", "", "fre", "Un article étranger."),
    ]


def test_books(hand_written):
    chapter, book = hand_written["201"], hand_written["202"]
    assert chapter.text == "The Chapter Aim: Read on."
    assert chapter.attributes == {
        "book": "The Book",
        "year": "2011",
        "publication_types": ("Review",),
        "languages": ("eng",),
    }
    assert passages(book) == [("title", "", "eng", "A Whole Book")]


def test_what_cannot_be_read_is_rejected_whole_and_reading_continues(hand_written):
    rejected = [record for record in hand_written.values() if isinstance(record, Rejected)]
    assert [(record.place, record.document_id) for record in rejected] == [
        ("record 4", ""),
        ("record 5", "104"),
        ("record 8", ""),
        ("deletion 3", ""),
    ]
    assert rejected[0].raw.startswith("<PubmedArticle>")
    assert "No PMID &amp; no id." in rejected[0].raw
    assert rejected[0].raw.endswith("</PubmedArticle>")
    assert "no PMID" in rejected[0].reason
    assert "&thing;" in rejected[1].reason
    assert rejected[2].raw == "<PubmedArticle><PubmedData/></PubmedArticle>"
    assert "'?'" in rejected[3].reason


ABSTRACT = b"<Abstract><AbstractText>Some words.</AbstractText></Abstract>"
ARTICLE = (
    b"<PubmedArticle><MedlineCitation><PMID>7</PMID><Article><Journal><Title>J</Title></Journal>"
    b"<ArticleTitle>A title.</ArticleTitle>" + ABSTRACT + b"<AuthorList><Author/></AuthorList></Article>"
    b"</MedlineCitation><PubmedData><History/></PubmedData></PubmedArticle>"
)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (ABSTRACT, b"<Abstrakt>Lost.</Abstrakt>", "<Article> holds text in <Abstrakt>"),
        (ABSTRACT, b"<AbstractText>Lost.</AbstractText>", "<Article> holds text in <AbstractText>"),
        (ABSTRACT, b"<Abstract>Lost.</Abstract>", "<Abstract> holds text outside the elements in it"),
        (ABSTRACT, b"<Abstract><Text>Lost.</Text></Abstract>", "<Abstract> holds text in <Text>"),
        (ABSTRACT, ABSTRACT * 2, "<Article> holds text in a second <Abstract>"),
        (b"<Author/>", ABSTRACT, "<AuthorList> holds text in <Abstract>"),
        (b"<History/>", ABSTRACT, "<PubmedData> holds text in <Abstract>"),
        (b"<Journal>", b"<ArticleTitle>Lost.</ArticleTitle><Journal>", "in a second <ArticleTitle>"),
        (b"</Journal>", b"</Journal> lost", "<Article> holds text outside the elements in it"),
        (b"</Article>", b"</Article><OtherAbstrac>Lost.</OtherAbstrac>", "in <OtherAbstrac>, which does not"),
        (b"</Article>", b"</Article><Article>" + ABSTRACT + b"</Article>", "in a second <Article>"),
        (b"<PubmedData>", b"<BookDocument>Lost.</BookDocument><PubmedData>", "holds text in <BookDocument>"),
    ],
)
def test_text_where_the_dtd_has_none_rejects_its_citation(old, new, fault):
    rejected, good = read_bytes(
        b"<PubmedArticleSet>%s%s</PubmedArticleSet>" % (ARTICLE.replace(old, new, 1), ARTICLE)
    )
    assert isinstance(rejected, Rejected)
    assert fault in rejected.reason
    assert new.decode() in rejected.raw
    assert (rejected.place, rejected.document_id) == ("record 1", "7")
    assert isinstance(good, Document)
    assert good.text == "A title. Some words."


def test_what_is_not_the_text_may_be_unknown_and_what_is_unknown_may_be_empty():
    known = ARTICLE.replace(b"<Author/>", b"<Author><New>x</New></Author>")
    for xml in (known, ARTICLE.replace(b"</Article>", b"<New a='x'> </New></Article>")):
        (document,) = read_bytes(xml)
        assert isinstance(document, Document)


def test_a_citation_inside_another_one_rejects_both():
    inner = ARTICLE.replace(b">7<", b">8<").replace(b"A title", b"Another title")
    outer = ARTICLE.replace(ABSTRACT, inner)
    xml = b"<PubmedArticleSet>%s%s</PubmedArticleSet>" % (outer, ARTICLE)
    first, second, third = read_bytes(xml)
    assert isinstance(first, Rejected)
    assert isinstance(second, Rejected)
    assert isinstance(third, Document)
    assert (first.document_id, first.place) == ("8", "record 1")
    assert "Another title" in first.raw
    assert (second.document_id, second.place) == ("7", "record 2")
    assert "A title" in second.raw


def test_text_beside_the_citations_is_rejected():
    lost = b"<PubmdArticle>Lost.</PubmdArticle>"
    xml = b"<PubmedArticleSet>%s%s lost %s%s</PubmedArticleSet>" % (ARTICLE, lost, ARTICLE, lost)
    whole = read_bytes(xml)
    assert [type(record).__name__ for record in whole] == ["Document", "Rejected", "Document", "Rejected"]
    assert [r.raw for r in whole if isinstance(r, Rejected)] == [f"{lost.decode()} lost ", lost.decode()]


def test_a_deletion_list_that_names_what_it_deletes_otherwise_is_rejected():
    (rejected,) = read_bytes(b"<a><DeleteCitation><PMID>1</PMID><PMIB>2</PMIB></DeleteCitation></a>")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "<DeleteCitation> holds text in <PMIB>, which does not belong there"


def test_deletions_come_last():
    records = read_file(HAND_WRITTEN)
    assert [record for record in records[8:] if isinstance(record, Deletion)] == [
        Deletion("301"),
        Deletion("302", 2),
    ]
    assert not any(isinstance(record, Deletion) for record in records[:8])


def test_a_title_of_several_lines_with_odd_spaces_is_one_line():
    title = "\n\ta\u2028b\u0085c\r\n \u00a0d "
    (document,) = read_bytes(citations(1).replace(b"A title.", title.encode()))
    assert passages(document)[0] == ("title", "", "eng", "a b c d")


@pytest.mark.parametrize(
    ("name", "documents", "deletions", "without_text"),
    [
        ("pubmed26n1334.xml.gz", 30, 0, 0),
        ("pubmed26n1335.xml.gz", 30, 6, 0),
        ("pubmed_no_rows.xml", 2, 0, 2),
        ("biopython_pubmed1.xml", 2, 0, 0),
        ("biopython_pubmed2.xml", 2, 0, 0),
    ],
)
def test_real_files(corpora, name, documents, deletions, without_text):
    heard: list[Deletion] = []
    found = list(read_corpus(str(corpora / "pubmed_xml" / name), on_deletion=heard.append))
    assert (len(found), len(heard)) == (documents, deletions)
    assert sum(not document.text for document in found) == without_text
    for document in found:
        assert document.id.isdecimal()
        assert document.mentions is None
        assert document.text == " ".join(document.text.split())
        assert bool(document.passages) == bool(document.text)
        for passage in document.passages:
            text = document.passage_text(passage)
            assert text
            assert text == text.strip()
            assert not (passage.kind == "abstract" and passage.label and text.startswith(passage.label + ":"))


def test_real_languages_and_sections(corpora):
    found = {d.id: d for d in read_corpus(str(corpora / "pubmed_xml" / "pubmed26n1334.xml.gz"))}
    kinds = {(p.kind, p.language) for document in found.values() for p in document.passages}
    assert kinds == {
        ("title", "eng"),
        ("abstract", "eng"),
        ("other_abstract", "por"),
        ("other_abstract", "eng"),
        ("vernacular_title", "ger"),
    }
    labels = [p.label for p in found["41576520"].passages]
    assert labels == ["", "BACKGROUND", "METHODS", "RESULTS", "CONCLUSIONS"]
    assert " BACKGROUND: Pediatric chronic kidney disease" in found["41576520"].text


def test_memory_does_not_grow_with_the_file():
    # Resident memory, because what libxml2 keeps is invisible to tracemalloc.
    def pieces() -> Iterator[bytes]:
        yield b"<PubmedArticleSet>"
        yield from map(citation, range(1, 20_001))
        yield b"</PubmedArticleSet>"

    process = psutil.Process()
    stream = io.BufferedReader(Pieces(pieces()))
    resident = [
        process.memory_info().rss for i, _ in enumerate(read(stream, "many.xml")) if i % 2_000 == 1_999
    ]
    assert len(resident) == 10
    assert max(resident) - resident[0] < 5_000_000


def read_until_error(stream) -> tuple[list[Record], FormatError]:
    records: list[Record] = []
    with pytest.raises(FormatError) as caught:
        for record in read(stream, "x.xml"):
            records.append(record)
    return records, caught.value


def test_records_before_broken_xml_are_yielded_and_the_error_says_where():
    xml = citations(300).replace(b'<PMID Version="1">250</PMID>', b'<PMID Version="1">250</PMUD>')
    records, error = read_until_error(io.BytesIO(xml))
    assert [record.id for record in records] == [str(i) for i in range(1, 250)]
    assert error.place.startswith("line 250, column ")
    assert ", bytes " in error.place
    assert "after PMID 249" in error.problem


def test_xml_that_ends_early():
    records, error = read_until_error(io.BytesIO(citations(300)[:-100]))
    assert len(records) == 299
    assert "after PMID 299" in error.problem


def test_an_undeclared_entity_without_doctype_is_an_error_and_not_an_early_end():
    xml = citations(3).replace(b">2</PMID>", b">2&what;</PMID>")
    records, error = read_until_error(io.BytesIO(xml))
    assert len(records) == 1
    assert "line 2" in error.place
    assert "what" in error.problem


def test_a_truncated_gzip_yields_what_came_through(tmp_path):
    noise = random.Random(7)
    xml = citations(2_000).replace(b"A title", b"%s")
    xml = xml % tuple(b"%x" % noise.getrandbits(4000) for _ in range(2_000))
    path = tmp_path / "x.xml.gz"
    path.write_bytes(gzip.compress(xml)[:-20_000])
    records = []
    with open_bytes(str(path)) as stream, pytest.raises(FormatError, match="gzip"):
        for record in read(stream, "x.xml.gz"):
            records.append(record)
    assert 1_900 < len(records) < 2_000
    assert all(isinstance(record, Document) for record in records)


@pytest.mark.parametrize(
    "xml",
    [b"", b"<PubmedArticleSet></PubmedArticleSet>", b"<eFetchResult><ERROR>none</ERROR></eFetchResult>"],
)
def test_a_file_without_any_record_is_refused(xml):
    with pytest.raises(FormatError, match="holds no PubMed citation"):
        read_bytes(xml)


def test_deletions_alone_are_a_file():
    xml = b"<PubmedArticleSet><DeleteCitation><PMID>5</PMID></DeleteCitation></PubmedArticleSet>"
    assert read_bytes(xml) == [Deletion("5")]


def laughs() -> str:
    lines = ['<!ENTITY lol0 "lol">']
    lines += [f'<!ENTITY lol{i} "{f"&lol{i - 1};" * 10}">' for i in range(1, 10)]
    return "".join(lines)


@pytest.mark.parametrize(
    ("declarations", "use"),
    [
        (laughs(), "&lol9;"),
        (laughs(), "nothing used"),
        ('<!ENTITY who SYSTEM "SECRET">', "&who;"),
        ('<!ENTITY who "me">', "&who;"),
        ('<!ENTITY % more SYSTEM "SECRET"> %more;', "x"),
        ("<!ENTITY % more \"<!ENTITY who 'me'>\"> %more;", "&who;"),
        ('<!ENTITY % unused "x">', "x"),
    ],
)
def test_entities_of_its_own_are_refused_and_never_expanded(tmp_path, declarations, use):
    secret = tmp_path / "secret.txt"
    secret.write_text("<!ENTITY leak 'the secret'>")
    doctype = f"<!DOCTYPE PubmedArticleSet [{declarations}]>".replace("SECRET", secret.as_uri())
    xml = doctype.encode() + citations(3).replace(b"A title", use.encode())
    records, error = read_until_error(io.BytesIO(xml))
    assert records == []
    assert "secret" not in str(error)


def test_entities_in_attributes_and_in_files_without_records_are_refused():
    doctype = f"<!DOCTYPE PubmedArticleSet [{laughs()}]>".encode()
    for body in (b'<PubmedArticleSet x="&lol9;"/>', b"<PubmedArticleSet/>"):
        with pytest.raises(FormatError, match="entit"):
            read_bytes(doctype + body)


MATH = (
    '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:msub><mml:mi>O</mml:mi><mml:mrow>'
    "<mml:mn>2</mml:mn><mml:mi>m</mml:mi></mml:mrow></mml:msub><mml:mtext> and </mml:mtext></mml:math>"
)


def test_a_formula_reads_alike_however_it_is_indented():
    indented = MATH.replace("><", ">\n      <").replace(">O<", ">\n  O\n  <")
    for formula in (MATH, indented, MATH.replace("><", "> <")):
        title = f"<Article><ArticleTitle>Uptake ({formula}) rose.</ArticleTitle></Article>"
        said = f"<PMID>1</PMID>{title}"
        (document,) = read_bytes(
            f"<PubmedArticle><MedlineCitation>{said}</MedlineCitation></PubmedArticle>".encode()
        )
        assert document.text == "Uptake (O2m and ) rose."
