"""docs/tables.md: the text that its Python code makes of a table is the one that offsets count in."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
from pages import Page

from raybio.corpora import read_corpus

PAGE = Page("docs/tables.md")


def test_mentions_stand_beside_the_rows_they_are_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "papers.csv").write_text(PAGE.files()["papers.csv"], encoding="utf-8")
    words = [
        {"document_id": document.id, "start": word.start(), "end": word.end(), "text": word[0]}
        for document in read_corpus("papers.csv")
        for word in re.finditer(r"\w+", document.text)
    ]
    (tmp_path / "tagged" / "mentions").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(words), tmp_path / "tagged" / "mentions" / "papers-00000.parquet")
    (block,) = (block for block in PAGE.blocks() if block.language == "python")
    names: dict[str, object] = {}
    exec(compile(block.text, PAGE.path, "exec"), names)
    assert len(names["found"]) == len(words)
    assert set(names["found"]["pmid"]) == {"0017", "0018"}
