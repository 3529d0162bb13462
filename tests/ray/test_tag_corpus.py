"""Bulk tagging on Ray Data: what is in the output, and that it is there once."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from samples import tagging_config

from raybio.bulk_tagging import tag_corpus
from raybio.config import to_yaml
from raybio.corpora import read_corpus
from raybio.corpora.sample import SampleFiles
from raybio.entities import Deletion, Document
from raybio.errors import CommitError, RejectedError
from raybio.training.encoder import TrainedEncoder


def rows(output: Path, table: str = "mentions") -> list[dict]:
    return [
        row for path in sorted((output / table).glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def tree(output: Path) -> dict[str, str]:
    """Hash of every output file; what says when and from where is left out."""
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name not in ("summary.json", "raybio.json") and "ledger" not in path.parts
    }


@pytest.fixture(scope="module")
def tagged(trained: TrainedEncoder, sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("tagged") / "out"
    formats = ("parquet", "jsonl", "pubtator", "bioc-json", "bioc-xml", "brat")
    tag_corpus(tagging_config(trained.run.model, sample.dump, output, formats=formats))
    return output


def test_each_record_of_the_dump_is_in_the_output_once(tagged: Path, sample: SampleFiles) -> None:
    deletions: list[Deletion] = []
    documents = list(read_corpus(str(sample.dump), on_deletion=deletions.append))
    found = [(row["document_id"], row["version"], row["fate"]) for row in rows(tagged, "documents")]
    expected = [(d.id, d.version, "tagged" if d.text else "without text") for d in documents]
    expected += [(d.document_id, d.version, "deleted") for d in deletions]
    assert sorted(found) == sorted(expected)
    summary = json.loads((tagged / "summary.json").read_text())
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
    formats = ("parquet", "jsonl", "pubtator", "bioc-json", "bioc-xml", "brat")
    again = tag_corpus(tagging_config(trained.run.model, sample.dump, tagged, formats=formats))
    assert again.shards_this_run == 0 and again.documents_per_second is None
    assert tree(tagged) == before


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
    with pytest.raises(RejectedError, match="max_rejected=5"):
        tag_corpus(tagging_config(trained.run.model, source, tmp_path / "out", max_rejected=5))


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


def test_a_killed_driver_loses_and_doubles_nothing(
    trained: TrainedEncoder, sample: SampleFiles, tmp_path: Path
) -> None:
    """The same job three times: undisturbed, killed in the middle, and run again after that."""
    source = tmp_path / "dump.jsonl"
    documents = [d for d in read_corpus(str(sample.dump)) if d.text]
    many = [Document(f"{d.id}-{i}", d.text, d.passages) for i in range(4) for d in documents]
    from raybio.corpora import write_corpus

    write_corpus(many, str(source))
    undisturbed = tmp_path / "undisturbed"
    tag_corpus(tagging_config(trained.run.model, source, undisturbed))

    output = tmp_path / "killed"
    config = tmp_path / "config.yaml"
    config.write_text(to_yaml(tagging_config(trained.run.model, source, output)))
    program = (
        "import sys\nfrom raybio.config import load_config\nfrom raybio.bulk_tagging import tag_corpus\n"
        "tag_corpus(load_config(sys.argv[1]))\n"
    )
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    environment.pop("RAY_ADDRESS", None)
    driver = subprocess.Popen([sys.executable, "-c", program, str(config)], env=environment)
    until = time.monotonic() + 200
    while len(list((output / "ledger").rglob("0*.json"))) < 2 and time.monotonic() < until:
        assert driver.poll() is None, "the driver ended before it could be killed"
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    time.sleep(3)  # workers of the dead driver notice and leave

    result = tag_corpus(tagging_config(trained.run.model, source, output))
    assert 0 < result.shards_this_run <= result.counts["shards"] - 2
    assert tree(output) == tree(undisturbed)
