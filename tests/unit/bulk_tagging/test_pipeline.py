import gc
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from samples import tagging_config

from raybio.bulk_tagging import pipeline
from raybio.bulk_tagging.ledger import Ledger, Provenance
from raybio.bulk_tagging.pipeline import _cut, _items, _rows, _TagAndCommit, unpack
from raybio.bulk_tagging.recipe import Recipe
from raybio.bulk_tagging.shards import EndOfFile, InputFile, Shard
from raybio.config import TagCorpusConfig, TaggersSection, job_of
from raybio.entities import Deletion, Document, Passage
from raybio.errors import CommitError, ModelError, UsageError
from raybio.model_identity import earlier_fingerprint, fingerprint
from raybio.model_sources import ModelReference


def test_a_shard_leaves_for_the_taggers_with_its_words_and_the_end_of_a_file_as_it_is():
    document = Document("1", "Alpha.\nBeta gamma.", (Passage(0, 6, "title"), Passage(7, 18, "abstract")))
    shard = Shard(InputFile("a.xml", "a", "pubmed", "f"), 3, (document,), (), (Deletion("9"),))
    end = EndOfFile("a", 4)
    done, same = _items(_cut(pa.Table.from_pylist(_rows([shard, end])), ("title",)))
    assert done.documents == (document,)
    [[sentence]] = done.cut
    assert (sentence.words, sentence.starts) == (("Beta", "gamma", "."), (7, 12, 17))
    assert (done.name, done.deletions, same) == (shard.name, shard.deletions, end)


@pytest.mark.parametrize(
    ("taggers", "had"),
    [
        (TaggersSection(), 16),
        (TaggersSection(cpus=2.0), 8),
        (TaggersSection(max_count=3), 3),
        (TaggersSection(count=2, max_count=5), 5),
        (TaggersSection(gpus=0.5), 8),
    ],
)
def test_the_pool_is_reported_with_the_room_it_had(monkeypatch, taggers, had):
    monkeypatch.setattr(pipeline.ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 4.0})
    assert pipeline._had(taggers) == {"taggers": had, "cluster_cpus": 16.0, "cluster_gpus": 4.0}


def test_circles_are_looked_for_again_after_unpacking():
    assert unpack(pickle.dumps(("a", 1))) == ("a", 1)
    with pytest.raises(pickle.UnpicklingError):
        unpack(b"no pickle")
    assert gc.isenabled()


def test_a_model_that_cannot_be_used_is_reported_in_our_words(tiny_encoder, tmp_path):
    """It loads in a worker; what is raised there reaches the driver as Ray's own error."""
    config = tagging_config(tiny_encoder, tmp_path / "in", tmp_path / "out", precision="4bit")
    model = ModelReference.of(config.model)
    recipe = Recipe.of(config, model, Provenance("m", "f", "c", {}), config.output)
    worker = _TagAndCommit(recipe, "run")
    shard = Shard(InputFile("a.xml", "a", "pubmed", "f"), 0, (), (), ())
    end = EndOfFile("a", 1)
    error, same = _items(worker(pa.Table.from_pylist(_rows([shard, end]))))
    assert isinstance(error, ModelError) and "4bit is for LLMs" in str(error)
    assert same == end


def test_workers_are_given_names_that_hold_on_their_nodes(tiny_encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_encoder.parent)
    decoding = {"draft": "encoder", "draft_model": tiny_encoder.name}
    config = tagging_config("bundled:minilm", tmp_path / "in", tmp_path / "out", decoding=decoding)
    model = ModelReference.of(config.model)
    recipe = Recipe.of(config, model, Provenance("m", "f", "c", {}), config.output)
    assert recipe.loading["decoding"]["draft_model"] == str(tiny_encoder)
    assert recipe.model.name == "bundled:minilm"
    assert str(model.folder()).encode() not in pickle.dumps(recipe)


def test_an_output_with_the_fingerprint_of_before_is_resumed(tiny_encoder, tmp_path):
    model = Path(shutil.copytree(tiny_encoder, tmp_path / "model"))
    provenance = Provenance("m", fingerprint(model), "c" * 8, {})
    before = replace(provenance, model_fingerprint=earlier_fingerprint(model))
    other = replace(provenance, config_hash="d" * 8)

    def claimed(anew, given=provenance):
        ledger, kept = pipeline._claim(str(tmp_path / "out"), given, model, anew)
        return Path(ledger.output).name, kept

    Ledger(str(tmp_path / "out")).claim(before)
    assert claimed(False) == claimed(True) == ("out", before)
    with pytest.raises(CommitError, match="was made with another config"):
        claimed(False, other)
    assert claimed(True, other) == (f"generation-{other.identity}", other)
    # A generation that was begun by the fingerprint of before is resumed too.
    earlier = replace(before, config_hash="e" * 8)
    Ledger(str(tmp_path / "out" / f"generation-{earlier.identity}")).claim(earlier)
    assert claimed(True, replace(provenance, config_hash="e" * 8)) == (
        f"generation-{earlier.identity}",
        earlier,
    )

    (model / "config.json").write_text((model / "config.json").read_text() + " ")
    changed = replace(provenance, model_fingerprint=fingerprint(model))
    with pytest.raises(CommitError, match="was made with another model"):
        claimed(False, changed)
    assert claimed(True, changed) == (f"generation-{changed.identity}", changed)


def test_labels_that_the_model_lacks_are_refused_before_a_cluster_is_started(tiny_encoder, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "a"}\n')
    job = {"model": str(tiny_encoder), "input": str(tmp_path / "a.jsonl"), "output": str(tmp_path / "out")}
    with pytest.raises(UsageError, match="no label 'Gene'"):
        pipeline.tag_corpus(
            job_of(TagCorpusConfig, {**job, "entities": {"labels": ["Gene"]}}, source="a test")
        )
    assert not pipeline.ray.is_initialized() and not (tmp_path / "out").exists()
