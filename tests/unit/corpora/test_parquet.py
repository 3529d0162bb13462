from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import documents

from raybio.corpora import parquet
from raybio.corpora.parquet import (
    DOCUMENT_SCHEMA,
    MENTION_SCHEMA,
    document_table,
    mention_table,
    read_path,
    write_path,
)
from raybio.corpora.table import Columns
from raybio.entities import Document, Mention, Passage, Rejected
from raybio.errors import ColumnsError, FormatError, InputError


def table_at(path: Path, **columns: list) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


@given(st.lists(documents(), min_size=1, max_size=2))
def test_documents_go_round(tmp_path_factory, drawn):
    path = str(tmp_path_factory.getbasetemp() / "round.parquet")
    write_path(drawn, path)
    found = list(read_path(path))
    assert found == drawn
    assert [list(d.attributes) for d in found] == [list(d.attributes) for d in drawn]


def test_documents_stream_in_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 10)
    path = str(tmp_path / "a.parquet")
    write_path((Document(str(i), "text") for i in range(25)), path)
    with pq.ParquetFile(path) as table:
        assert [table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)] == [10, 10, 5]
        assert table.schema_arrow.metadata[b"raybio.format"] == b"documents"
        assert table.schema_arrow.equals(DOCUMENT_SCHEMA)
    assert [d.id for d in read_path(path)] == [str(i) for i in range(25)]


def test_mention_table():
    text = "Pain. Aspirin helps pain."
    document = Document(
        "1",
        text,
        passages=(Passage(0, 5, "title"), Passage(6, 25, "abstract", "RESULTS")),
        mentions=(
            Mention(0, 4, "Disease", "Pain", score=0.5, concept="MESH:D010146"),
            Mention(6, 13, "Chemical", "Aspirin"),
        ),
        version=2,
    )
    table = mention_table(
        [document, Document("2", "x"), Document("3", "a", mentions=(Mention(0, 1, "X", "a"),))], "m", "c0ffee"
    )
    assert table.schema.equals(MENTION_SCHEMA, check_metadata=True)
    first, second, third = table.to_pylist()
    assert first == {
        "document_id": "1",
        "version": 2,
        "passage": "title",
        "passage_label": "",
        "start": 0,
        "end": 4,
        "text": "Pain",
        "label": "Disease",
        "score": 0.5,
        "concept": "MESH:D010146",
        "model": "m",
        "config_hash": "c0ffee",
    }
    assert (second["passage"], second["passage_label"], second["score"]) == ("abstract", "RESULTS", None)
    assert (third["document_id"], third["passage"]) == ("3", "")
    assert mention_table([]).num_rows == 0


@settings(max_examples=50)
@given(st.lists(documents(), max_size=2))
def test_mention_table_has_every_mention(drawn):
    rows = mention_table(drawn).to_pylist()
    expected = [(d, m) for d in drawn for m in d.mentions or ()]
    assert [(r["document_id"], r["start"], r["end"]) for r in rows] == [
        (d.id, m.start, m.end) for d, m in expected
    ]
    assert [r["text"] for r in rows] == [d.text[m.start : m.end] for d, m in expected]


@pytest.mark.parametrize("id_column", ["id", "document_id", "pmid"])
def test_other_tables_with_an_id_and_a_text(tmp_path, id_column):
    path = table_at(
        tmp_path / "a.parquet", **{id_column: ["1", "2"]}, text=["é😀", ""], journal=["J", None], year=[1, 2]
    )
    assert list(read_path(path)) == [
        Document("1", "é😀", passages=(Passage(0, 2, "text"),), attributes={"journal": "J"}),
        Document("2", ""),
    ]


def test_other_tables_with_title_and_abstract(tmp_path):
    path = table_at(tmp_path / "a.parquet", pmid=["1", "2"], title=["T", "U"], abstract=["Ab.", None])
    assert list(read_path(path)) == [
        Document("1", "T Ab.", passages=(Passage(0, 1, "title"), Passage(2, 5, "abstract"))),
        Document("2", "U", passages=(Passage(0, 1, "title"),)),
    ]


@pytest.mark.parametrize("columns", [{"id": ["1"]}, {"text": ["a"]}, {"id": ["1"], "titel": ["a"]}])
def test_missing_columns_are_named(tmp_path, columns):
    path = table_at(tmp_path / "a.parquet", **columns)
    with pytest.raises(ColumnsError, match=rf"\(there are: {', '.join(columns)}\)\. Name the columns"):
        list(read_path(path))


def test_columns_make_a_table_of_a_documents_table(tmp_path):
    path = str(tmp_path / "a.parquet")
    write_path([Document("1", "ab", version=3)], path)
    [document] = read_path(path, columns=Columns(("text",), "version", ()))
    assert document == Document("3", "ab", (Passage(0, 2, "text"),))
    assert [*read_path(path, columns=Columns(keep=("year",)))] == [Document("1", "ab", version=3)]


def test_a_row_at_fault_is_rejected_alone(tmp_path):
    path = table_at(tmp_path / "a.parquet", id=["1", None, "3"], text=["a", "b", None])
    first, second, third = read_path(path)
    assert first == Document("1", "a", passages=(Passage(0, 1, "text"),))
    assert isinstance(second, Rejected)
    assert (second.source, second.place, second.reason) == (path, "row 2", "the id (column id) is empty")
    assert third == Document("3", "")


def test_a_row_whose_mention_is_misplaced_is_rejected(tmp_path):
    rows = document_table([Document("1", "ab", mentions=(Mention(0, 1, "X", "a"),))]).to_pylist()
    rows[0]["text"] = "bb"
    path = str(tmp_path / "a.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA), path)
    (rejected,) = read_path(path)
    assert rejected.reason == "mention 'a' is not at [0, 1): there stands 'b'"


def test_what_is_no_parquet_file_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(FormatError, match="not a Parquet file"):
        list(read_path(str(path)))
    with pytest.raises(InputError, match="cannot be opened"):
        list(read_path(str(tmp_path / "none.parquet")))
    with pytest.raises(FormatError, match="holds no row"):
        list(
            read_path(
                table_at(tmp_path / "b.parquet", id=pa.array([], pa.string()), text=pa.array([], pa.string()))
            )
        )


def test_damaged_data_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write_path((Document(str(i), f"text {i}" * 20) for i in range(500)), str(path))
    content = bytearray(path.read_bytes())
    content[200:4000] = bytes(3800)
    path.write_bytes(content)
    with pytest.raises(FormatError, match="the Parquet data are broken"):
        list(read_path(str(path)))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (Document("1", "\ud800"), "cannot be written as UTF-8"),
        (Document("1", "a", mentions=(Mention(0, 1, "X", "b"),)), "mention 'b' is not at"),
    ],
)
def test_a_document_that_breaks_its_promises_is_not_written(tmp_path, document, problem):
    with pytest.raises(FormatError, match=problem):
        write_path([document], str(tmp_path / "a.parquet"))
    assert not list(tmp_path.iterdir())
