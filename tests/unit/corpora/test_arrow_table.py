"""Tables in Arrow's own files: Feather, and what `datasets` writes."""

import pyarrow as pa
import pyarrow.feather as feather
import pytest

from raybio.corpora import read_corpus
from raybio.corpora.table import Columns
from raybio.entities import Document, Passage
from raybio.errors import ColumnsError, FormatError

TABLE = pa.table(
    {
        "pmid": [1, 2, None],
        "title": pa.array(["T", None, "U"]).dictionary_encode(),
        "abstract": pa.array(["Ab.", "Cd.", "x"], pa.large_string()),
        "journal": ["J", None, "K"],
        "year": [2001, None, 2003],
    }
)


def written(path, table=TABLE, compression="uncompressed"):
    if path.suffix == ".feather":
        feather.write_feather(table, path, compression)
    else:
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return str(path)


@pytest.mark.parametrize("name", ["a.feather", "a.arrow"])
def test_both_kinds_of_files_are_read(tmp_path, name):
    rejected = []
    found = list(read_corpus(written(tmp_path / name), on_rejected=rejected.append))
    assert found == [
        Document(
            "1", "T Ab.", (Passage(0, 1, "title"), Passage(2, 5, "abstract")), attributes={"journal": "J"}
        ),
        Document("2", "Cd.", (Passage(0, 3, "abstract"),)),
    ]
    assert [(r.place, r.reason) for r in rejected] == [("row 3", "the id (column pmid) is empty")]


def test_packed_and_named_columns(tmp_path):
    path = written(tmp_path / "a.feather", compression="zstd")
    found = list(read_corpus(path, columns=Columns(("abstract",), "#", ("year",))))
    assert [(d.id, d.text, d.attributes) for d in found] == [
        ("1", "Ab.", {"year": "2001"}),
        ("2", "Cd.", {"year": ""}),
        ("3", "x", {"year": "2003"}),
    ]


def test_columns_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ColumnsError, match="there is no column 'text'"):
        list(read_corpus(written(tmp_path / "a.arrow"), columns=Columns(("text",))))


def test_what_is_broken_says_after_which_row(tmp_path):
    written(tmp_path / "a.arrow")
    (tmp_path / "b.arrow").write_bytes((tmp_path / "a.arrow").read_bytes()[:-400])
    with pytest.raises(FormatError, match=r"after row 2: not an Arrow file, or its data are broken"):
        list(read_corpus(str(tmp_path / "b.arrow")))
    (tmp_path / "c.feather").write_bytes(b"no table")
    with pytest.raises(FormatError, match="before the first row"):
        list(read_corpus(str(tmp_path / "c.feather")))
    empty = written(tmp_path / "d.arrow", TABLE.slice(0, 0))
    with pytest.raises(FormatError, match="holds no row"):
        list(read_corpus(empty))


def test_a_row_that_is_too_large_is_rejected_alone(tmp_path):
    path = written(tmp_path / "a.arrow", pa.table({"id": [1, 2], "text": ["x" * 5000, "a"]}))
    rejected = []
    found = read_corpus(path, on_rejected=rejected.append, max_record_bytes=1024)
    assert [document.id for document in found] == ["2"]
    assert [(r.place, "max_record_bytes" in r.reason) for r in rejected] == [("row 1", True)]
