"""Outputs of raybio at 435ea7f, before records had versions, are resumed: see tests/data/before_versions.

They are of a real job, with a tagger that tags each word with a capital; a.jsonl was finished, and of b.jsonl
the second of three shards was begun, by a worker that died.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raybio.bulk_tagging.attempts import Attempt
from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.compaction import compact, current
from raybio.bulk_tagging.inputs import find_inputs
from raybio.bulk_tagging.ledger import Ledger
from raybio.bulk_tagging.replay import recorded_job
from raybio.bulk_tagging.shards import EndOfFile, Shard, read_shards
from raybio.bulk_tagging.tagging import TaggedDocuments
from raybio.config import TagCorpusConfig, job_of
from raybio.errors import CommitError
from raybio.reports.sources import read_tagging

OLD = Path(__file__).parents[2] / "data" / "before_versions"


@pytest.fixture
def here(tmp_path, monkeypatch):
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ledger(here):
    return Ledger("tagged")


def resume(ledger):
    """Do what is left, as a job does; return the shards that were tagged."""
    provenance = ledger.provenance()
    ledger.claim(replace(provenance))
    tagged = []
    for file, done in ledger.todo(find_inputs(["input"])):
        for item in read_shards(file, 2, done):
            if isinstance(item, Shard):
                attempt = Attempt(ledger, item, "run-of-now")
                with attempt.holding((0, len(item.documents))):
                    files = ShardFiles("tagged", ("parquet", "jsonl"), "capitals", provenance.config_hash)
                    written = files.write(item, TaggedDocuments(list(item.documents), [], 2, 8))
                entry = next(entry for entry in ledger.entries() if entry.shard == "b-00000")
                changes = {"files": written.files, "attempts": attempt.count}
                ledger.commit(file, item.number, replace(entry, shard=item.name, **changes))
                tagged.append((item.name, attempt.count))
            elif isinstance(item, EndOfFile):
                assert ledger.finish(file, item.shards, item.broken)
    return tagged


def test_a_corpus_is_resumed_and_each_document_is_in_it_once(ledger):
    assert [len(ledger.todo(find_inputs(["input"]))), ledger.rejected(find_inputs(["input"]))] == [1, 1]
    assert resume(ledger) == [("b-00001", 2)]
    assert ledger.todo(find_inputs(["input"])) == []
    assert [entry.shard for entry in ledger.entries()] == [
        *("a-00000", "a-00001"),
        *("b-00000", "b-00001", "b-00002"),
    ]
    tables = [pq.read_table(path) for path in sorted(Path("tagged/documents").iterdir())]
    ids = [row["document_id"] for table in tables for row in table.to_pylist()]
    assert sorted(filter(None, ids)) == ["a0", "a1", "a2", *(f"b{number}" for number in range(6))]


def test_its_job_is_replayed_though_options_have_other_names_now(here):
    config = job_of(TagCorpusConfig, recorded_job("tagged"), "what was recorded")
    assert config.decoding.constrained_decoding is False and config.shard_documents == 2


def test_what_is_written_now_says_its_version(ledger):
    resume(ledger)
    held = [json.loads(path.read_text()) for path in Path("tagged/ledger").iterdir()]
    assert [each.get("schema_version") for each in held].count(2) == 1  # b; a was finished before
    assert ledger.reopen(["a-00001"]) == 1
    [entry] = Path("tagged/ledger").glob("a@*/*.json")
    assert json.loads(entry.read_text())["schema_version"] == 2


def test_a_current_set_is_kept_up_to_date(ledger):
    assert sum(len(documents) for documents, _ in current("current")) == 9
    resume(ledger)
    compact("tagged", "current")
    assert sum(len(documents) for documents, _ in current("current")) == 9
    assert json.loads(Path("current/compaction/00002.json").read_text())["schema_version"] == 2


def test_another_model_is_still_refused(ledger):
    with pytest.raises(CommitError, match="made with another model"):
        ledger.claim(replace(ledger.provenance(), model_fingerprint="0" * 16))


def test_a_report_reads_it(here):
    tagging = read_tagging(here / "tagged")
    assert tagging.provenance["model"] == "capitals" and tagging.summary["counts"]["documents"] == 9
    assert len(tagging.rejected) == 1 and tagging.documents


@pytest.mark.parametrize(
    "name", ["raybio.json", "ledger/b@*/00000.json", "ledger/a@*.json", "ledger/b@*/*.begun"]
)
@pytest.mark.parametrize("change", ["torn", "list", "emptied", "later"])
def test_a_damaged_or_later_record_is_refused_in_one_line(ledger, name, change):
    [path] = Path("tagged").glob(name)
    held = json.loads(path.read_text())
    changed = {"torn": '{"count', "list": "[1]", "emptied": "{}"}
    path.write_text(changed.get(change) or json.dumps({**held, "schema_version": 3}))
    with pytest.raises(CommitError, match=path.name) as caught:
        resume(ledger)
        list(ledger.entries())
    assert "\n" not in str(caught.value)
