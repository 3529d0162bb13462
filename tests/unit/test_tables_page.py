"""docs/tables.md: the text that its Python code makes of a table is the one that offsets count in."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
from pages import Page

from raybio.corpora import read_corpus
from raybio.corpora.table import Columns

PAGE = Page("docs/tables.md")


def test_mentions_stand_beside_the_rows_they_are_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = PAGE.files()["papers.csv"].splitlines()
    table += ["0019,Nothing of it," + "," * (table[0].count(",") - 2)]
    own = ("text", *("what is mine" for _ in table[1:]))  # a column that mentions have too
    rows = [f"{row},{more}" for row, more in zip(table, own, strict=True)]
    (tmp_path / "papers.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    columns = Columns(("title", "abstract"), id="pmid")
    words = [
        {
            "document_id": document.id,
            "start": word.start(),
            "end": word.end(),
            "text": word[0],
            "year": "kept",
        }
        for document in read_corpus("papers.csv", columns=columns)
        if document.id != "0019"
        for word in re.finditer(r"\w+", document.text)
    ]
    (tmp_path / "tagged" / "mentions").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(words), tmp_path / "tagged" / "mentions" / "papers-00000.parquet")
    (block,) = (block for block in PAGE.blocks() if block.language == "python")
    names: dict[str, object] = {}
    exec(compile(block.text, PAGE.path, "exec"), names)
    found = names["found"]
    assert len(found) == len(words) + 1 and list(found.loc[["0019"]]["start"].isna()) == [True]
    assert set(found.index) == {"0017", "0018", "0019"}
    assert set(found["text"]) == {"what is mine"} and {"text_of_mention", "year_of_mention"} <= set(found)
