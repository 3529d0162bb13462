"""What a worker does at once: one shard is tagged while another is written, and never two are tagged."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from samples import tagging_config

from raybio.bulk_tagging import worker as worker_module
from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.inputs import find_inputs
from raybio.bulk_tagging.ledger import Ledger
from raybio.bulk_tagging.provenance import Provenance
from raybio.bulk_tagging.recipe import Recipe
from raybio.bulk_tagging.shards import Shard, read_shards
from raybio.bulk_tagging.worker import Worker
from raybio.model_sources import ModelReference
from raybio.taggers import Tags

_WAIT = 30
_SHARDS = 3


class Alone:
    """A tagger that two threads may not use at once, and that says when it begins with a document."""

    labels = ("Name",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.began = [threading.Event() for _ in range(_SHARDS)]
        self._busy = threading.Lock()

    def tag(self, sentences):
        assert self._busy.acquire(blocking=False), "two shards are tagged at once"
        for sentence in sentences:
            self.began[int(sentence.document_id)].set()
        self._busy.release()
        return [Tags(("O",) * len(each), (1.0,) * len(each)) for each in sentences]


@pytest.fixture
def shards(tmp_path) -> list[Shard]:
    documents = (json.dumps({"id": str(i), "text": "Naloxone."}) + "\n" for i in range(_SHARDS))
    (tmp_path / "in.jsonl").write_text("".join(documents))
    (file,) = find_inputs([str(tmp_path / "in.jsonl")], None)
    return [item for item in read_shards(file, 1, ()) if isinstance(item, Shard)]


def test_a_shard_is_tagged_while_another_is_written(tiny_encoder, tmp_path, monkeypatch, shards):
    tagger, write = Alone(), ShardFiles.write
    waited: list[int] = []

    def write_once_the_next_is_tagged(files, shard, tagged):
        if shard.number + 1 < _SHARDS:
            assert tagger.began[shard.number + 1].wait(_WAIT), "the tagger waits for what is written"
            waited.append(shard.number)
        return write(files, shard, tagged)

    monkeypatch.setattr(worker_module, "load_tagger", lambda *_, **__: tagger)
    monkeypatch.setattr(ShardFiles, "write", write_once_the_next_is_tagged)
    output = str(tmp_path / "out")
    config = tagging_config(tiny_encoder, tmp_path / "in.jsonl", output)
    recipe = Recipe.of(config, ModelReference.of(config.model), Provenance("m", "f", "c", {}), output)
    committed: list[str] = []
    worker = Worker(recipe, "run", lambda entry: committed.append(entry.shard))
    with ThreadPoolExecutor(_SHARDS) as calls:
        done = [*calls.map(worker.commit, shards)]
    assert sorted(waited) == [0, 1]
    assert sorted(committed) == [shard.name for shard in shards]
    assert [each.entry.documents for each in done] == [1] * _SHARDS
    assert len([*Ledger(output).entries()]) == _SHARDS
