"""`raybio tag`: how its options become a job's config."""

import json

import pytest

from raybio.cli import tagging
from raybio.config import EntitiesSection


@pytest.fixture
def tag(raybio, monkeypatch):
    """Run `raybio tag` without tagging; return the config that it made."""
    made = []
    monkeypatch.setattr(tagging, "_tag_configured", lambda config, *rest: made.append(config))

    def run(*words):
        outcome = raybio("tag", *words)
        assert outcome.code == 0, outcome.err
        return made.pop()

    return run


JOB = ("--model", "m", "--output", "out")


def test_with_an_input_text_names_columns(tag):
    config = tag("a.csv", *JOB, "--text", "title,abstract", "--id", "pmid", "--keep", "year,journal")
    assert config.input.model_dump() == {
        "files": ("a.csv",),
        "columns": {"text": ("title", "abstract"), "id": "pmid", "keep": ("year", "journal")},
    }
    assert tag("a.csv", *JOB).input.model_dump()["columns"] == {"text": (), "id": None, "keep": None}


@pytest.mark.parametrize("more", [["--id", "pmid"], ["--keep", "year"], ["--output", "out"]])
def test_without_an_input_it_is_the_text_and_a_forgotten_file_is_named(refused, more):
    message = refused("tag", "--text", "title,abstract", "--model", "m", *more)
    assert "--text without INPUT is the text to tag" in message
    assert "raybio tag INPUT --text title,abstract" in message


@pytest.mark.parametrize("recorded", [["a.csv"], {"files": ["a.csv"], "columns": {"id": "pmid"}}])
def test_a_replay_reads_the_columns_that_the_job_read(tag, tmp_path, recorded):
    config = {"job": "tag-corpus", "model": "m", "input": recorded, "output": "out"}
    (tmp_path / "out").mkdir()
    made = {"model": "m", "model_fingerprint": "f", "config_hash": "c", "config": config}
    (tmp_path / "out" / "provenance.json").write_text(json.dumps({**made, "schema_version": 2}))
    rejected = tmp_path / "out" / "rejected.jsonl"
    rejected.write_text("")
    given = recorded["columns"]["id"] if isinstance(recorded, dict) else None
    for words in ((), ("b.csv",)):
        found = tag(*words, "--replay", str(rejected))
        assert found.input.files == (words or ("a.csv",))
        assert found.input.columns.id == given


@pytest.mark.parametrize(
    ("score", "least"), [("0.8", 0.8), ("Disease=0.9,Chemical=0.6", {"Disease": 0.9, "Chemical": 0.6})]
)
def test_entities_are_chosen(tag, score, least):
    config = tag(
        "a.xml", *JOB, "--labels", "Disease,Chemical", "--min-score", score, "--rename", "Chemical=Drug"
    )
    assert config.entities.model_dump() == {
        "labels": ("Disease", "Chemical"),
        "min_score": least,
        "rename": {"Chemical": "Drug"},
    }
    assert tag("a.xml", *JOB).entities == EntitiesSection()


@pytest.mark.parametrize("words", [["--min-score", "high"], ["--min-score", "A=b"], ["--rename", "A"]])
def test_what_is_no_score_or_name_is_refused(raybio, words):
    assert raybio("tag", "a.xml", *JOB, *words).code == 2
