import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from samples import tagging_config

from raybio.bulk_tagging import pipeline
from raybio.bulk_tagging.ledger import Ledger
from raybio.bulk_tagging.provenance import Provenance
from raybio.bulk_tagging.recipe import Recipe
from raybio.config import TagCorpusConfig, job_of
from raybio.errors import CommitError, UsageError
from raybio.model_identity import earlier_fingerprint, fingerprint
from raybio.model_sources import ModelReference


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
    assert not ray.is_initialized() and not (tmp_path / "out").exists()
