"""docs/fields.md: the fields of JSON lines and the columns of Parquet are those of the code."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raybio.corpora import read_corpus
from raybio.corpora.parquet import DOCUMENT_SCHEMA, MENTION_SCHEMA, mention_table
from raybio.entities import Document, Mention, Passage, Relation, Sentence

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "fields.md").read_text(encoding="utf-8")


def rows(header: str) -> list[list[str]]:
    """Return the rows of the table whose first column is headed so."""
    table = re.search(rf"(?m)^\| {header} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE)
    assert table, header
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[1].splitlines()]


@pytest.mark.parametrize("kind", [Document, Passage, Mention, Sentence, Relation])
def test_fields_of_json_lines_are_those_of_the_nouns(kind):
    said = [
        (name, without == "refused")
        for cells, _, without in rows(f"a {kind.__name__.lower()}'s")
        for name in re.findall(r"`(\w+)`", cells)
    ]
    real = [(f.name, f.default is MISSING and f.default_factory is MISSING) for f in fields(kind)]
    assert said == real


def test_columns_of_mentions_are_those_of_the_schema():
    said = [(name.strip("`"), type_) for name, type_, _ in rows("column")]
    assert said == [(field.name, str(field.type)) for field in MENTION_SCHEMA]
    assert set(DOCUMENT_SCHEMA.names) == {field.name for field in fields(Document)}


@pytest.mark.parametrize("library", ["pandas", "duckdb"])
def test_code_that_opens_parquet_runs(library, tmp_path, monkeypatch, capsys):
    pytest.importorskip(library)
    folder = tmp_path / "tagged" / "mentions"
    folder.mkdir(parents=True)
    (documents,) = re.findall(r"(?s)```json file=\S+\n(.*?)```", PAGE)
    (tmp_path / "documents.jsonl").write_text(documents, encoding="utf-8")
    read = list(read_corpus(str(tmp_path / "documents.jsonl")))
    pq.write_table(mention_table(read), folder / "0.parquet")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(rf"(?s)```python\n(import {library}\n.*?)```", PAGE)
    exec(compile(block, "fields.md", "exec"), {})
    assert "Chemical" in capsys.readouterr().out
