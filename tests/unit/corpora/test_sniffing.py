"""Files whose names do not say what they hold, or say it wrongly."""

import bz2
import gzip
import lzma

import pytest

from raybio.corpora import format_inside, format_of, read_corpus, write_corpus
from raybio.entities import Document
from raybio.errors import FormatError, UsageError

PUBTATOR = "12|t|β rises.\n12|a|It does.\n12\t0\t1\tβ\tChemical\tD1\n"
PUBMED = "<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>12</PMID></MedlineCitation></PubmedArticle>"
PUBMED += "</PubmedArticleSet>"
BIOC = "<?xml version='1.0'?><collection><document><id>12</id></document></collection>"
JSON = '{"id": "12", "passages": [{"offset": 0, "text": "x"}]}'
JSONL = '{"id": "12", "text": "x"}\n'
COLUMNS = "a\tO\nb\tB-X\nc\tI-X\n"
TABLE = 'pmid,"title",abstract,year\n12,β rises.,It does.,2020\n'
MEDLINE = "\nPMID- 12\nTI  - β rises.\n"


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.txt", PUBTATOR, "pubtator"),
        ("a.txt", MEDLINE, "medline"),
        ("a.txt", PUBMED, "pubmed"),
        ("a.txt", BIOC, "bioc-xml"),
        ("a.txt", COLUMNS, "iob2"),
        ("a.txt", "Some | text.\n", "text"),
        ("a.xml", BIOC, "bioc-xml"),
        ("a.xml", PUBMED, "pubmed"),
        ("a.json", JSON, "bioc-json"),
        ("a", JSONL, "jsonl"),
        ("a.nbib", MEDLINE, "medline"),
        ("a.txt", TABLE, "csv"),
        ("a.txt", TABLE.replace(",", "\t"), "csv"),
        ("a.txt", "Title, abstract and text\nwere read.\n", "text"),
        ("a.bioc.json", '{"id": "12", "passages": [{"text": "x"}]}', "bioc-json"),
    ],
)
def test_what_a_file_holds_decides(tmp_path, name, content, format):
    for encoding in "utf-8", "utf-8-sig", "utf-16":
        (tmp_path / name).write_bytes(content.encode(encoding))
        assert format_inside(str(tmp_path / name)) == format
    (tmp_path / name).write_bytes(gzip.compress(content.encode()))
    assert format_inside(str(tmp_path / name)) == format, "gzip without .gz"


def test_a_suffix_that_is_plain_is_taken_at_its_word(tmp_path):
    (tmp_path / "a.jsonl").write_text(PUBTATOR)
    assert format_inside(str(tmp_path / "a.jsonl")) == "jsonl"
    (tmp_path / "a").write_text("Some text.")
    with pytest.raises(UsageError, match="the name does not tell its format"):
        format_inside(str(tmp_path / "a"))
    assert format_of("a.txt") == "text", "of a file that is to be written"


@pytest.mark.parametrize("content", [PUBTATOR, MEDLINE, TABLE])
@pytest.mark.parametrize(
    "pack",
    [
        str.encode,
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: gzip.compress(text.encode("utf-16")),
        lambda text: text.replace("\n", "\r").encode(),
    ],
)
def test_they_are_read(tmp_path, content, pack):
    (tmp_path / "plain.txt").write_text(content)
    (tmp_path / "a.txt").write_bytes(pack(content))
    assert [*read_corpus(str(tmp_path / "a.txt"))] == [*read_corpus(str(tmp_path / "plain.txt"))]


def test_files_that_are_no_text_are_named(tmp_path):
    for content, what in {
        b"%PDF-1.7\n%": "a PDF",
        b"PK\x03\x04\x14\0": "a zip archive",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a document of Microsoft Office",
        b"{\\rtf1 x}": "rich text",
        b"<!DOCTYPE html><p>": "a web page",
        b"TY  - JOUR\n": "RIS",
        b"@article{a,": "BibTeX",
        bz2.compress(b"x"): "packed otherwise",
        lzma.compress(b"x"): "packed otherwise",
    }.items():
        (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(UsageError, match=f"a.txt is {what}.* not read here"):
            read_corpus(str(tmp_path / "a.txt"))
        with pytest.raises(FormatError, match=f"is {what}"):
            list(read_corpus(str(tmp_path / "a.txt"), "text"))


def test_a_table_of_arrow_is_known_by_its_first_bytes(tmp_path):
    write_corpus([Document("12", "β rises.")], str(tmp_path / "a.parquet"))
    (tmp_path / "a.parquet").rename(tmp_path / "a.txt")
    assert [each.id for each in read_corpus(str(tmp_path / "a.txt"))] == ["12"]


def test_xml_in_utf16_is_left_to_its_parser(tmp_path):
    declared = BIOC.replace("'1.0'", "'1.0' encoding='utf-16'")
    (tmp_path / "a.xml").write_bytes(declared.encode("utf-16"))
    (document,) = read_corpus(str(tmp_path / "a.xml"))
    assert document.id == "12"


@pytest.mark.parametrize(
    ("content", "name"), [(PUBTATOR, "pubtator"), (MEDLINE, "medline"), (PUBMED, "pubmed")]
)
def test_no_format_is_read_as_prose(tmp_path, content, name):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(FormatError, match=rf"this is no text but in the format {name}"):
        list(read_corpus(str(tmp_path / "a.txt"), "text"))


def test_other_encodings_are_named(tmp_path):
    (tmp_path / "a.txt").write_bytes("Für Elise.".encode("latin-1"))
    with pytest.raises(FormatError, match=r"byte 0xFC is not UTF-8.* iconv -f LATIN1"):
        list(read_corpus(str(tmp_path / "a.txt")))
    (tmp_path / "b.txt").write_bytes("abc".encode("utf-16")[:-1])
    with pytest.raises(FormatError, match="begins as UTF-16, cannot be decoded"):
        list(read_corpus(str(tmp_path / "b.txt")))
