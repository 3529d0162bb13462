"""Tables of texts as CSV and TSV, and mentions as CSV."""

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybio.corpora import input_format, read_corpus, write_corpus
from raybio.corpora.csv_table import kept_name, read
from raybio.corpora.table import Columns
from raybio.entities import Document, Mention, Passage, Rejected
from raybio.errors import ColumnsError, FormatError

HEADER = "pmid,title,abstract\n"


def records(text: str | bytes, **options):
    raw = text if isinstance(text, bytes) else text.encode()
    return list(read(io.BytesIO(raw), "a.csv", **options))


@pytest.mark.parametrize("separator", list(",;\t|"))
def test_values_are_read_as_rfc_4180_quotes_them(separator):
    text = 'pmid,title,abstract\n007,"A, B","It ""is""\r\nso."\n8,T,\n'.replace(",", separator)
    first, second = records(text)
    assert (first.id, first.text) == ("007", f'A{separator} B It "is"\r\nso.')
    assert [first.passage_text(p) for p in first.passages] == [f"A{separator} B", 'It "is"\r\nso.']
    assert second == Document("8", "T", (Passage(0, 1, "title"),))


_CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff"), max_size=8)


def _stays(identity: str) -> bool:
    return bool(identity) and not identity.endswith(".0")


@given(
    st.lists(st.tuples(_CELL.filter(_stays), _CELL), min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"])
)
def test_what_pythons_csv_writes_is_read(rows, end):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([("id", "text"), *rows])
    assert [(d.id, d.text) for d in records(text.getvalue())] == rows


def test_ids_that_pandas_wrote_beside_nulls_are_whole_numbers():
    found = records("pmid,text,x\n17.0,a,17.0\n,b,\n18.0,c,\nv1.0,d,\n", columns=Columns(keep=("x",)))
    kept = [(one.id, one.attributes["x"]) for one in found if isinstance(one, Document)]
    assert kept == [("17", "17.0"), ("18", ""), ("v1.0", "")]


def test_a_row_at_fault_is_rejected_alone_with_its_line():
    rows = b'1,T,"a\nb"\n2,T\n3,T,"a"b\n4,caf\xe9,A\n5,T,A\n'
    found = records(HEADER.encode() + rows)
    assert [d.id for d in found if isinstance(d, Document)] == ["1", "5"]
    assert [(r.place, r.reason, r.raw) for r in found if isinstance(r, Rejected)] == [
        ("line 4", "2 values in a table of 3 columns", "2,T\n"),
        ("line 5", "the row cannot be read (',' expected after '\"')", '3,T,"a"b\n'),
        ("line 6", "byte 0xE9 is not UTF-8", "4,caf\\xe9,A\n"),
    ]


def test_a_quote_that_nothing_closes_is_rejected():
    [first, last] = records(f'{HEADER}1,T,A\n2,T,"never closed\n3,T,A\n')
    assert first.id == "1" and isinstance(last, Rejected) and last.place == "line 3"


def test_tabs_without_quoting_are_read():
    found = records('pmid\ttitle\n1\t"Silent" stroke\n2\t"quoted"\n')
    assert [d.text for d in found] == ['"Silent" stroke', "quoted"]


def test_a_row_that_is_too_large_is_rejected_and_those_after_it_are_read():
    long = "x" * 3000
    found = records(
        f'{HEADER}1,T,{long}\n2,T,A\n3,T,"{long[:600]}\n{long[:600]}"\n4,T,A\n', max_record_bytes=1024
    )
    assert [d.id for d in found if isinstance(d, Document)] == ["2", "4"]
    first = found[0]
    assert isinstance(first, Rejected) and first.place == "line 2" and "max_record_bytes" in first.reason
    assert len(first.raw) <= 1024


@pytest.mark.parametrize("text", ["", "\n\n", HEADER])
def test_a_table_without_rows_is_refused(text):
    with pytest.raises(FormatError, match="the file holds no row"):
        records(text)


def test_blank_lines_and_a_byte_order_mark_are_left_out():
    assert [d.id for d in records(f"\ufeff\n{HEADER}\n1,T,A\n\n")] == ["1"]


@pytest.mark.parametrize(
    ("head", "format"),
    [
        ("PMID\tTitle\tAbstract\n1\tT\tA\n", "csv"),
        ("key\ttext\n1\tOne word more\n", "csv"),
        ("key\tArticle title\n", "csv"),
        ("Naloxone\tB-Chemical\nreverses\tO\n", "iob2"),
        ("-DOCSTART-\tO\n\nNaloxone\tB-Chemical\n", "iob2"),
        ("Naloxone B-Chemical\nreverses O\n", "iob2"),
        ("id\tO\ntext\tO\n", "iob2"),
        ("", "iob2"),
    ],
)
def test_tables_and_tagged_words_are_told_apart(tmp_path, head, format):
    (tmp_path / "a.tsv").write_text(head)
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(head.encode()))
    assert input_format(str(tmp_path / "a.tsv")) == input_format(str(tmp_path / "a.tsv.gz")) == format
    assert input_format(str(tmp_path / "a.tsv"), Columns(("b",))) == "csv"


def test_a_table_called_tsv_is_read_from_python(tmp_path):
    (tmp_path / "a.tsv").write_text("PMID\tTitle\n12\tA title\n")
    assert [(d.id, d.text) for d in read_corpus(str(tmp_path / "a.tsv"))] == [("12", "A title")]


def test_columns_that_are_not_there_are_refused():
    with pytest.raises(ColumnsError, match="there is no column 'x'"):
        records(f"{HEADER}1,T,A\n", columns=Columns(("x",)))


def test_mentions_are_written_as_a_table(tmp_path):
    mentions = (Mention(0, 4, "X", "Pain", 0.5, "MESH:D010146"), Mention(6, 9, "Y", 'a"b'))
    document = Document("1", 'Pain, a"b', (Passage(0, 5, "title"),), mentions, attributes={"year": "2001"})
    path = tmp_path / "mentions.csv"
    write_corpus([document, Document("2", "x")], str(path))
    header, first, second = csv.reader(path.read_text().splitlines())
    assert header == [
        "document_id",
        "version",
        "passage",
        "passage_label",
        "start",
        "end",
        "text",
        "label",
        "score",
        "concept",
    ]
    assert first == ["1", "1", "title", "", "0", "4", "Pain", "X", "0.5", "MESH:D010146"]
    assert second == ["1", "1", "", "", "6", "9", 'a"b', "Y", "", ""]


def test_a_lone_surrogate_cannot_be_written(tmp_path):
    with pytest.raises(FormatError, match="cannot be written as UTF-8"):
        write_corpus(
            [Document("1", "\ud800", mentions=(Mention(0, 1, "X", "\ud800"),))], str(tmp_path / "a.csv")
        )


@pytest.mark.parametrize(
    ("name", "called"), [("year", "year"), ("label", "input_label"), ("model", "input_model")]
)
def test_a_kept_column_never_takes_the_name_of_the_tables_own(name, called):
    assert kept_name(name) == called
