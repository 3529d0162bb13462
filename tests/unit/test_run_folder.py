import errno
import json
import os
import re
import shutil
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import tagged_sentences

from raybio import run_folder
from raybio.errors import FormatError, StorageError, UsageError
from raybio.iob2 import tags_from_spans
from raybio.reports.sources import read_run
from raybio.run_folder import RunFolder, environment, short_name, timestamp

OLD = Path(__file__).parents[1] / "data" / "before_versions"


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", "seed: 1\n")


def test_a_new_run_holds_its_config_and_environment(run):
    assert (run.path / "config.yaml").read_text() == "seed: 1\n"
    assert set(run.read_json("environment.json")["packages"]) >= {"torch", "ray"}
    assert run.model == run.path / "model"
    assert RunFolder.existing(run.path).path == run.path


def test_a_run_is_not_made_twice(run):
    with pytest.raises(UsageError, match=r"is a run already. Choose another name, or say resume=true"):
        RunFolder.create(run.path, "seed: 2\n")
    assert (run.path / "config.yaml").read_text() == "seed: 1\n"


def test_a_folder_that_is_no_run_is_not_opened(tmp_path):
    with pytest.raises(UsageError, match=r"is not a run folder: it has no config.yaml"):
        RunFolder.existing(tmp_path)


def test_a_relative_run_folder_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = RunFolder.create(Path("run"), "")
    monkeypatch.chdir("/")
    run.write_text("a.txt", "a")
    assert (tmp_path / "run" / "a.txt").read_text() == "a"


def test_a_reader_sees_a_file_whole_or_as_it_was(run, monkeypatch):
    run.write_text("scores.json", "old")

    def full_disk(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(StorageError, match=r"scores.json: cannot be written \(No space left on device\)"):
            run.write_text("scores.json", "new and longer")
    assert (run.path / "scores.json").read_text() == "old"
    run.write_text("scores.json", "new")
    assert (run.path / "scores.json").read_text() == "new"
    assert not list(run.path.glob(".*"))


def test_json_survives(run):
    data = {"β": [1, 2.5, None], "nested": {"a": "😀"}}
    run.write_json("deep/er/data.json", data)
    assert run.read_json("deep/er/data.json") == data


def test_metrics_are_lines_in_order(run):
    assert run.metrics() == []
    rows = [{"epoch": 1, "note": "a\u2028b"}, {"epoch": 2, "loss": 0.5}]
    for row in rows:
        run.add_metrics(row)
    assert run.metrics() == rows


def test_half_a_line_of_metrics_at_the_end_is_left_out_and_counted(run, caplog):
    """A writer that is killed leaves it; whoever resumes the run writes on in its place."""
    run.add_metrics({"epoch": 1})
    whole = '{"epoch": 2, "dev_strict_f1": 0.5}'
    for length in range(1, len(whole)):
        (run.path / "metrics.jsonl").write_text('{"epoch": 1}\n' + whole[:length])
        caplog.clear()
        assert run.metrics() == [{"epoch": 1}]
        assert "its last line was cut off, and is left out (1 line)" in caplog.text
    run.add_metrics({"epoch": 2})
    assert run.metrics() == [{"epoch": 1}, {"epoch": 2}]
    (run.path / "metrics.jsonl").write_text('{"epoch": 1}\n' + whole)
    assert [row["epoch"] for row in run.metrics()] == [1, 2]


@pytest.mark.parametrize(
    ("line", "problem"), [('{"epoch": 1, "lo', "not JSON"), ("[1]", "not a JSON object")]
)
def test_a_damaged_line_of_metrics_is_reported_with_its_place(run, line, problem):
    (run.path / "metrics.jsonl").write_text(f'{{"epoch": 1}}\n{line}\n{{"epoch": 2}}\n')
    with pytest.raises(FormatError, match=rf"metrics.jsonl, line 2: {problem}") as caught:
        run.metrics()
    assert "\n" not in str(caught.value)


def test_a_line_that_is_written_by_halves_is_shown_whole(run, monkeypatch):
    monkeypatch.setattr(run_folder, "_SHOW_EVERY_SECONDS", 0.001)
    shown = []
    with run.shown(shown.append), (run.path / "log.txt").open("ab") as log:
        for half in ("one β".encode()[:-1], "β".encode()[1:] + b" and the ", b"rest\nanother\n"):
            log.write(half)
            log.flush()
            time.sleep(0.05)
    assert shown == ["one β and the rest", "another"]


def test_every_line_said_is_shown_once_in_order(run, monkeypatch):
    monkeypatch.setattr(run_folder, "_SHOW_EVERY_SECONDS", 0.001)
    run.say("before")
    shown = []
    with run.shown(shown.append):
        for i in range(300):
            run.say(f"line {i} β")
        other = threading.Thread(target=RunFolder(run.path).say, args=("from elsewhere",))
        other.start()
        other.join()
    run.say("after")
    assert [line[9:] for line in shown] == [*(f"line {i} β" for i in range(300)), "from elsewhere"]
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in shown)
    assert len((run.path / "log.txt").read_text().splitlines()) == 303


def test_the_last_words_before_a_failure_are_shown(run):
    shown = []
    with pytest.raises(ValueError, match="stop"), run.shown(shown.append):
        run.say("last words")
        raise ValueError("stop")
    assert shown[0].endswith("last words")


def test_the_environment_holds_no_environment_variable(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret_in_a_variable")
    written = json.dumps(environment())
    assert "hf_secret_in_a_variable" not in written
    assert not set(environment()) & set(os.environ)
    keys = {"started", "python", "platform", "cpus", "accelerators", "packages", "commit"}
    assert set(environment()) == keys


def test_the_environment_names_the_gpus(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A100'\necho 'NVIDIA H100'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment()["accelerators"] == "NVIDIA A100, NVIDIA H100"
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert environment()["accelerators"] is None
    tool.unlink()
    assert environment()["accelerators"] is None


def test_the_environment_names_what_an_llm_learned_with():
    packages = environment()["packages"]
    for name in ("tokenizers", "deepspeed", "peft", "bitsandbytes"):
        assert (name in packages) == (find_spec(name) is not None)


def test_timestamps_sort_and_suit_file_names():
    assert re.fullmatch(r"\d{8}-\d{6}", timestamp())


@given(st.lists(tagged_sentences(), max_size=4))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_predictions_can_be_read_back(tmp_path, drawn):
    rows = [(words, tags_from_spans(spans, len(words)), ["O"] * len(words)) for words, spans in drawn]
    path = RunFolder(tmp_path).write_predictions("dev", iter(rows))
    assert path == tmp_path / "predictions" / "dev.tsv"
    blocks = path.read_bytes().decode().split("\n\n") if rows else []
    columns = [[line.split("\t") for line in block.strip("\n").split("\n")] for block in blocks]
    read = [tuple(list(column) for column in zip(*block, strict=True)) for block in columns]
    assert read == rows


def test_predictions_of_another_length_are_refused(run):
    with pytest.raises(ValueError, match="zip"):
        run.write_predictions("dev", [(["a", "b"], ["O", "O"], ["O"])])


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("bundled:minilm", "minilm"),
        ("microsoft/deberta-v3-large", "deberta-v3-large"),
        ("runs/mine/model", "mine"),
        ("/shared/runs/mine/model/", "mine"),
        ("someone/model", "model"),
    ],
)
def test_a_model_has_a_short_name(model, name):
    assert short_name(model) == name


def test_a_run_folder_of_before_versions_is_opened_and_resumed(tmp_path):
    old = shutil.copytree(OLD / "run", tmp_path / "run")
    run = RunFolder.existing(old)
    run.add_metrics({"epoch": 3})
    assert [row["epoch"] for row in run.metrics()] == [1, 2, 3]
    read = read_run(old)
    assert read.kept_epoch == 1 and read.split == "test" and len(read.predictions["test"]) > 0


def test_a_run_folder_says_its_version_and_a_later_one_is_refused(run):
    held = run.read_json("environment.json")
    assert held["schema_version"] == 2
    run.write_json("environment.json", {**held, "schema_version": 3})
    with pytest.raises(UsageError, match=r"environment.json: of schema version 3; this raybio reads up to 2"):
        RunFolder.existing(run.path)
    run.write_text("environment.json", '{"py')
    with pytest.raises(FormatError, match=r"environment.json: not JSON"):
        RunFolder.existing(run.path)
