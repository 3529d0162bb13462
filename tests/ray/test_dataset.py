"""A Ray Dataset in, the same with mentions out."""

from pathlib import Path

import pyarrow as pa
import pytest
import ray.data

import raybio
from raybio.dataset import MENTIONS
from raybio.errors import ModelError, UsageError
from raybio.training.encoder import TrainedEncoder

TEXTS = [
    "Naloxone reverses the effect of clonidine 😀 in rats.",
    None,
    "",
    "Aspirin reduced arthritis in mice.",
]


def test_each_row_gets_its_mentions_and_keeps_its_columns(trained: TrainedEncoder) -> None:
    rows = pa.table({"pmid": [1, 2, 3, 4], "abstract": TEXTS})
    tagged = raybio.tag_dataset(ray.data.from_arrow(rows), model=str(trained.run.path), text="abstract")
    found = tagged.filter(lambda row: row["pmid"] != 3).sort("pmid").to_arrow_refs()
    table = pa.concat_tables(ray.get(found)).combine_chunks()
    assert table.schema.names == ["pmid", "abstract", "mentions", "error"]
    assert table.schema.field("mentions").type == MENTIONS
    assert table["pmid"].to_pylist() == [1, 2, 4] and table["error"].null_count == 3
    ner = raybio.load(trained.run.path)
    for text, mentions in zip(table["abstract"].to_pylist(), table["mentions"].to_pylist(), strict=True):
        expected = ner(text or "").mentions
        assert [(each["start"], each["end"], each["label"]) for each in mentions] == [
            (each.start, each.end, each.label) for each in expected
        ]
        assert all(text[each["start"] : each["end"]] == each["text"] for each in mentions)


def test_what_cannot_work_is_refused_before_anything_starts(trained: TrainedEncoder, tmp_path: Path) -> None:
    dataset = ray.data.from_items([{"title": "a"}])
    with pytest.raises(UsageError, match="no column 'text'; it has 'title'"):
        raybio.tag_dataset(dataset, model=str(trained.run.model))
    with pytest.raises(ModelError, match="there is no model folder"):
        raybio.tag_dataset(dataset, model=str(tmp_path / "none"), text="title")
    with pytest.raises(UsageError, match="no column 'pmid'"):
        raybio.tag_dataset(dataset, model=str(trained.run.model), text="title", id="pmid")
    with pytest.raises(TypeError, match="'thread'"):
        raybio.tag_dataset(dataset, model=str(trained.run.model), text="title", thread=1)
    with pytest.raises(UsageError, match="has a column 'error' already"):
        raybio.tag_dataset(dataset.add_column("error", lambda batch: batch["title"]), model="m", text="title")
