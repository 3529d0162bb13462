"""Bulk tagging on Ray Data: what is in the output, and that it is there once."""

import gzip
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from exported_metrics import wait_for_metrics
from samples import tagging_config

from raybio.bulk_tagging import TaggedCorpus, stages, tag_corpus
from raybio.bulk_tagging.ledger import Ledger, ShardEntry
from raybio.bulk_tagging.metrics import METRICS, SHARD_SECONDS, WorkerMetrics
from raybio.config import TagCorpusConfig, TaggersSection
from raybio.corpora import read_corpus
from raybio.corpora.sample import SampleFiles
from raybio.entities import Deletion
from raybio.errors import ClusterError, CommitError, RejectedError, UsageError
from raybio.training.encoder import TrainedEncoder

FORMATS = ("parquet", "jsonl", "pubtator", "bioc-json", "bioc-xml", "brat", "csv", "iob2")


def rows(output: Path, table: str = "mentions") -> list[dict]:
    return [
        row for path in sorted((output / table).glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def tree(output: Path) -> dict[str, str]:
    """Hash of every output file; what says when and from where is left out."""
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file()
        and path.name not in ("summary.json", "provenance.json")
        and "ledger" not in path.parts
    }


@pytest.fixture(scope="module")
def tagged(trained: TrainedEncoder, sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("tagged") / "out"
    tag_corpus(tagging_config(trained.run.model, sample.dump, output, formats=FORMATS))
    return output


def test_each_record_of_the_dump_is_in_the_output_once(tagged: Path, sample: SampleFiles) -> None:
    deletions: list[Deletion] = []
    documents = list(read_corpus(str(sample.dump), on_deletion=deletions.append))
    found = [(row["document_id"], row["version"], row["fate"]) for row in rows(tagged, "documents")]
    expected = [(d.id, d.version, "tagged" if d.text else "without text") for d in documents]
    expected += [(d.document_id, d.version, "deleted") for d in deletions]
    assert sorted(found) == sorted(expected)
    summary = json.loads((tagged / "summary.json").read_text())
    assert summary["pool"] == {"taggers": 1, "cluster_cpus": 2.0, "cluster_gpus": 0.0}
    assert summary["counts"]["documents"] == len(documents)
    assert summary["counts"]["deleted"] == len(deletions)
    assert summary["counts"]["subwords_dropped"] == 0 < summary["counts"]["subwords"]
    assert summary["counts"]["mentions"] == sum(summary["mentions_by_label"].values()) == len(rows(tagged))


def test_offsets_are_exact_in_every_format(tagged: Path, sample: SampleFiles) -> None:
    texts = {(d.id, d.version): d.text for d in read_corpus(str(sample.dump))}
    mentions = rows(tagged)
    assert mentions
    for row in mentions:
        assert texts[row["document_id"], row["version"]][row["start"] : row["end"]] == row["text"]
        assert 0 <= row["score"] <= 1
    expected = {(row["document_id"], row["start"], row["end"], row["label"]) for row in mentions}
    for format, suffix in [
        ("jsonl", "*"),
        ("pubtator", "*"),
        ("bioc-json", "*"),
        ("bioc-xml", "*"),
        ("brat", "*"),
    ]:
        documents = [d for path in (tagged / format).glob(suffix) for d in read_corpus(str(path), format)]
        assert not [m for d in documents for m in d.misplaced()]
        assert {(d.id, m.start, m.end, m.label) for d in documents for m in d.mentions or ()} == expected, (
            format
        )


def test_a_second_run_does_nothing(tagged: Path, trained: TrainedEncoder, sample: SampleFiles) -> None:
    before = tree(tagged)
    again = tag_corpus(tagging_config(trained.run.model, sample.dump, tagged, formats=FORMATS))
    assert again.shards_this_run == 0 and again.documents_per_second is None
    assert tree(tagged) == before


def test_without_ray_the_output_is_the_same_and_each_resumes_the_other(
    tagged: Path, trained: TrainedEncoder, sample: SampleFiles, tmp_path: Path
) -> None:
    ledger = Ledger(str(tmp_path / "out"))

    def run(on_ray: bool) -> TaggedCorpus:
        section = TaggersSection(on_ray=on_ray)
        return tag_corpus(
            tagging_config(trained.run.model, sample.dump, ledger.output, formats=FORMATS, taggers=section)
        )

    def entries(of: Ledger) -> list[ShardEntry]:
        return [replace(entry, started=0.0, finished=0.0) for entry in of.entries()]

    run(on_ray=False)
    assert tree(tmp_path / "out") == tree(tagged)
    assert entries(ledger) == entries(Ledger(str(tagged)))
    first, *_, last = (path.stem for path in sorted((tagged / "mentions").iterdir()))
    for shard, on_ray in ((first, True), (last, False)):
        ledger.reopen({shard})
        (tmp_path / "out" / "mentions" / f"{shard}.parquet").unlink()
        assert run(on_ray).shards_this_run == 1
        assert tree(tmp_path / "out") == tree(tagged)
        assert entries(ledger) == entries(Ledger(str(tagged)))


def test_another_config_is_refused_or_starts_a_generation(
    tagged: Path, trained: TrainedEncoder, sample: SampleFiles
) -> None:
    config = tagging_config(trained.run.model, sample.dump, tagged, shard_documents=15)
    with pytest.raises(CommitError, match="another config"):
        tag_corpus(config)
    before = tree(tagged)
    beside = tag_corpus(config.model_copy(update={"on_change": "new-generation"}))
    assert Path(beside.output).parent == tagged
    assert beside.counts["documents"] == 30
    assert {name: digest for name, digest in tree(tagged).items() if name in before} == before


def test_a_broken_file_gives_what_can_be_read_and_says_the_rest(
    trained: TrainedEncoder, sample: SampleFiles, tmp_path: Path
) -> None:
    whole = gzip.decompress(sample.dump.read_bytes())
    broken = tmp_path / "in" / "broken.xml"
    broken.parent.mkdir()
    broken.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "empty.xml").write_bytes(b"")
    (tmp_path / "in" / "good.xml.gz").write_bytes(sample.dump.read_bytes())
    result = tag_corpus(tagging_config(trained.run.model, broken.parent, tmp_path / "out"))
    rejected = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert result.counts["rejected"] == len(rejected) == 2
    assert {Path(record["source"]).name for record in rejected} == {"broken.xml", "empty.xml"}
    assert all(record["reason"] and record["remedy"] for record in rejected)
    readable = whole[: len(whole) // 2].count(b"</PubmedArticle>")
    assert result.counts["documents"] == 30 + readable


def test_too_many_rejected_records_stop_the_job(trained: TrainedEncoder, tmp_path: Path) -> None:
    source = tmp_path / "many.jsonl"
    source.write_text("not json\n" * 20)
    config = tagging_config(trained.run.model, source, tmp_path / "out", max_rejected=15)
    for _ in range(2):
        with pytest.raises(RejectedError, match="max_rejected=15"):
            tag_corpus(config)
    with pytest.raises(RejectedError, match="no document was tagged: all 20 records were rejected"):
        tag_corpus(config.model_copy(update={"max_rejected": 20}))


def test_a_replay_leaves_what_it_could_not_read_again(trained: TrainedEncoder, tmp_path: Path) -> None:
    """An output may hold the baseline of one run and the updates of another."""

    def config(name: str) -> TagCorpusConfig:
        return tagging_config(trained.run.model, tmp_path / f"{name}.jsonl", tmp_path / "out")

    for name in ("baseline", "update"):
        (tmp_path / f"{name}.jsonl").write_text('not json\n{"id": "1", "text": "Aspirin helps."}\n')
        tag_corpus(config(name))
    before, replay = tree(tmp_path / "out"), str(tmp_path / "out" / "rejected.jsonl")
    with pytest.raises(UsageError, match="not in the input: update"):
        tag_corpus(config("baseline"), replay=replay)
    assert tree(tmp_path / "out") == before
    done = tag_corpus(config("*"), replay=replay)
    assert (done.shards_this_run, done.counts["documents"]) == (2, 2)
    assert tree(tmp_path / "out") == before


def test_a_file_whose_reader_dies_every_time_is_left_and_the_others_continue(
    trained: TrainedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For want of memory, say: no retries without end, and a clear end that a later run finishes."""
    for name in ("good", "huge"):
        (tmp_path / f"{name}.jsonl").write_text('{"id": "1", "text": "Aspirin helps."}\n')
    config = tagging_config(trained.run.model, f"{tmp_path}/*.jsonl", tmp_path / "out")

    def read(batch: pa.Table, **bounds: int) -> Iterator[pa.Table]:
        from raybio.bulk_tagging.stages import _items, _read

        if next(_items(batch))[0].key == "huge":
            # Not before the other file is committed: how fast a tagger starts is not what this is about.
            until = time.monotonic() + 60
            ledger = tmp_path / "out" / "ledger"
            while time.monotonic() < until and not [
                *ledger.glob("good@*.json"),
                *ledger.glob("good@*/*.json"),
            ]:
                time.sleep(0.2)
            os._exit(1)
        yield from _read(batch, **bounds)

    with monkeypatch.context() as patch:
        patch.setattr(stages, "_read", read)
        patch.setattr(stages, "_MAX_RETRIES", 1)
        with pytest.raises(ClusterError, match=r"huge: processes that read, .* died again and again"):
            tag_corpus(config)
    assert [row["source"] for row in rows(tmp_path / "out", "documents")] == [f"{tmp_path}/good.jsonl"]
    done = tag_corpus(config)
    assert (done.shards_this_run, done.counts["documents"]) == (1, 2)


def test_a_changed_input_replaces_what_it_was(
    trained: TrainedEncoder, sample: SampleFiles, tmp_path: Path
) -> None:
    source = tmp_path / "growing.jsonl"
    lines = [json.dumps({"id": str(i), "text": "Aspirin helps."}) + "\n" for i in range(25)]
    source.write_text("".join(lines))
    config = tagging_config(trained.run.model, source, tmp_path / "out")
    assert tag_corpus(config).counts["documents"] == 25
    source.write_text("".join(lines[:5]))
    assert tag_corpus(config).counts["documents"] == 5
    assert [row["document_id"] for row in rows(tmp_path / "out", "documents")] == list("01234")


@pytest.mark.soak
def test_int8_tags_as_fp32_does_but_for_little(
    trained: TrainedEncoder, sample: SampleFiles, tmp_path: Path
) -> None:
    outputs = {}
    for precision in ("fp32", "int8"):
        config = tagging_config(trained.run.model, sample.dump, tmp_path / precision, precision=precision)
        tag_corpus(config)
        outputs[precision] = {
            (row["document_id"], row["start"], row["end"], row["label"]) for row in rows(tmp_path / precision)
        }
    common = len(outputs["fp32"] & outputs["int8"])
    assert common > 0.9 * max(map(len, outputs.values()))


def test_logs_of_workers_are_json_and_carry_the_run(tagged: Path) -> None:
    logs = Path(ray._private.worker.global_worker.node.get_logs_dir_path())
    # Where there are many, Ray moves those of workers that ended into a folder of their own.
    lines = [line for log in logs.rglob("worker-*.err") for line in log.read_text().splitlines()]
    events = [json.loads(line) for line in lines if line.startswith('{"time"')]
    committed = [event for event in events if event["message"] == "shard committed"]
    assert {event["shard"] for event in committed} >= {
        path.stem for path in (tagged / "documents").glob("*.parquet")
    }
    assert all(event["run_id"] and event["seconds"] >= 0 for event in committed)


def test_metrics_reach_prometheus() -> None:
    # A worker that lives as long as the test: what one tells just before it ends may be lost.
    @ray.remote(num_cpus=0)
    class Teller:
        def __init__(self) -> None:
            self._metrics = WorkerMetrics("reported", ["X", "Y"])

        def tell(self) -> None:
            work = {"passes": 5, "tokens_fed": 70}
            entry = ShardEntry("in-00000", 2, 0, 1, 0, 4, 40, {"X": 3}, work, {}, 1.0, 2.5)
            self._metrics.committed(entry)

    teller = Teller.remote()
    counters = {f"ray_{name}_total" for name in METRICS if name != SHARD_SECONDS}
    before = wait_for_metrics(counters, 'model="reported"')
    assert before == dict.fromkeys(counters, 0.0)
    ray.get(teller.tell.remote())
    wanted = {f"ray_{name}_{'bucket' if name == SHARD_SECONDS else 'total'}" for name in METRICS}
    assert wanted <= wait_for_metrics(wanted, 'model="reported"').keys()
