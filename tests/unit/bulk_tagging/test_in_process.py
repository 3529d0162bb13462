"""What is tagged without Ray, and that it is tagged as on Ray; tests/ray compares the two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray

from raybio.bulk_tagging import in_process, tag_corpus
from raybio.bulk_tagging.inputs import InputFile, find_inputs
from raybio.bulk_tagging.ledger import Ledger
from raybio.config import SMALL_BYTES, TagCorpusConfig, TaggersSection, job_of
from raybio.errors import ConfigError, RejectedError

SMALL = InputFile("a.jsonl", "a", "jsonl", "f", None, SMALL_BYTES)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No cluster is named; who tags on Ray all the same finds none."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "raybio.bulk_tagging.on_ray", None)


def job(model: Path, source: Path, output: Path, **options: object) -> TagCorpusConfig:
    given = {"model": str(model), "input": str(source), "output": str(output), **options}
    return job_of(TagCorpusConfig, given, source="a test")


@pytest.mark.parametrize(
    ("taggers", "seconds", "files", "here"),
    [
        ({}, None, [SMALL], True),
        ({}, None, [SMALL, InputFile("b.jsonl", "b", "jsonl", "f", None, 1)], False),
        ({}, None, [InputFile("b.jsonl", "b", "jsonl", "f")], False),
        ({}, 60.0, [SMALL], False),
        ({"count": 1}, None, [SMALL], False),
        ({"max_count": 4}, None, [SMALL], False),
        ({"gpus": 0.5}, None, [SMALL], False),
        ({"on_ray": True}, None, [SMALL], False),
        ({"on_ray": False}, None, [SMALL] * 9, True),
    ],
)
def test_what_is_small_needs_no_ray_unless_something_asks_for_it(tmp_path, taggers, seconds, files, here):
    todo = [(file, set()) for file in files]
    assert in_process.suits(TaggersSection(**taggers), seconds, Ledger(str(tmp_path)), todo) is here


def test_a_cluster_that_is_there_is_used(tmp_path, monkeypatch):
    def suits(**taggers):
        section = TaggersSection(**taggers)
        return in_process.suits(section, None, Ledger(str(tmp_path)), [(SMALL, set())])

    monkeypatch.setenv("RAY_ADDRESS", "ray-head:6379")
    assert not suits() and suits(on_ray=False)
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    assert not suits()


@pytest.mark.parametrize(("connected", "said"), [(False, ["starting Ray ..."]), (True, [])])
def test_ray_is_said_to_start_where_it_does(tiny_encoder, tmp_path, monkeypatch, connected, said):
    source = tmp_path / "a.txt"
    source.write_text("Naloxone.")
    monkeypatch.setattr(ray, "is_initialized", lambda: connected)
    lines: list[str] = []
    with pytest.raises(ImportError, match="on_ray"):
        tag_corpus(job(tiny_encoder, source, tmp_path / "out", taggers={"count": 1}), lines.append)
    assert [line for line in lines if "Ray" in line or "cluster" in line] == said


def test_what_an_earlier_run_died_of_is_left_to_ray(tmp_path):
    ledger, todo = Ledger(str(tmp_path)), [(SMALL, {0})]
    for number, here in ((0, True), (1, False)):
        ledger.write_json(ledger.mark_of(SMALL, number), {})
        assert in_process.suits(TaggersSection(), None, ledger, todo) is here


def test_a_folder_is_as_large_as_its_files(tmp_path):
    for name, size in (("1.txt", 10), ("1.ann", 5), ("2.txt", 700)):
        (tmp_path / name).write_text("a" * size)
    (folder,) = find_inputs([str(tmp_path)], "brat")
    assert folder.size == 715


def test_records_are_tagged_rejected_and_committed(tiny_encoder, tmp_path):
    source, output = tmp_path / "a.jsonl", tmp_path / "out"
    records = [{"id": str(i), "text": "Naloxone reverses clonidine."} for i in range(5)]
    source.write_text("no json\n" + "".join(json.dumps(record) + "\n" for record in records))
    said: list[str] = []
    config = job(tiny_encoder, source, output, shard_documents=2, formats=["csv"])
    done = tag_corpus(config, said.append)
    assert "tagging in this process, without Ray ..." in said
    assert (done.shards_this_run, done.counts["documents"], done.counts["rejected"]) == (3, 5, 1)
    tables = [pq.read_table(path) for path in sorted((output / "documents").iterdir())]
    assert [len(table) for table in tables] == [2, 2, 2]
    assert len([*(output / "csv").iterdir()]) == 3
    assert json.loads((output / "summary.json").read_text())["pool"] == {"taggers": 1}
    assert [*(output / "ledger").glob("a@*")] == [*(output / "ledger").glob("a@*.json")]  # it is finished
    assert tag_corpus(config).shards_this_run == 0


def test_what_was_interrupted_is_resumed(tiny_encoder, tmp_path):
    source, output = tmp_path / "a.jsonl", tmp_path / "out"
    source.write_text('{"id": "1", "text": "Naloxone."}\nno json\n{"id": "2", "text": "Clonidine."}\n')
    few = job(tiny_encoder, source, output, shard_documents=1, max_rejected=0)
    with pytest.raises(RejectedError, match="max_rejected=0"):
        tag_corpus(few)
    assert len([*(output / "mentions").iterdir()]) == 2
    done = tag_corpus(few.model_copy(update={"max_rejected": 1}))
    assert (done.shards_this_run, done.counts["documents"]) == (1, 2)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"taggers": {"on_ray": False, "count": 2}}, "allowed with count: true or null"),
        ({"taggers": {"on_ray": False, "gpus": 1}}, "allowed with gpus: true or null"),
        ({"taggers": {"on_ray": False}, "shard_timeout_s": 9}, r"allowed with taggers\.on_ray=false: null"),
    ],
)
def test_what_takes_processes_of_their_own_is_refused_without_ray(tmp_path, options, fault):
    with pytest.raises(ConfigError, match=fault):
        job(tmp_path, tmp_path, tmp_path / "out", **options)


def test_bulk_tagging_is_imported_without_ray_and_torch():
    code = "import sys, raybio.bulk_tagging; print({'ray', 'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "set()\n"
