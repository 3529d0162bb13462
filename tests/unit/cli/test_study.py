"""The commands `study ...`; what they run is tested with Ray."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[3]
STUDY = """job: run-study
name: tiny
corpora: [{name: BC5CDR}]
models: [{name: minilm, config: minilm.yaml}]
"""


@pytest.fixture
def study(tmp_path):
    shutil.copy(ROOT / "configs/train_encoder/minilm_bc5cdr.yaml", tmp_path / "minilm.yaml")
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def test_status_lists_the_runs_of_a_study_that_never_ran(raybio, study):
    outcome = raybio("study", "status", study, "seeds=[4]")
    assert (outcome.code, outcome.err) == (0, "")
    assert "minilm-BC5CDR-s4-" in outcome.out and "3 waiting" in outcome.out
    reported = json.loads(raybio("study", "status", study, "--json", "-").out)
    assert reported["counts"] == {"waiting": 3}


def test_a_study_without_finished_runs_has_no_report(refused, study):
    assert "no run of the study tiny is done" in refused("study", "report", study)


def test_report_is_written_with_the_words_of_the_corpora_or_without(raybio, study, monkeypatch):
    monkeypatch.setattr(
        "raybio.study.report.write_study_report", lambda config, output, quotes: f"{output} {quotes}"
    )
    assert raybio("study", "report", study).out == "None True\n"
    assert raybio("study", "report", study, "--no-quotes", "--output", "a.md").out == "a.md False\n"


@pytest.mark.parametrize("command", ["plan", "run", "status", "report"])
def test_faults_of_the_train_configs_are_reported_at_once(raybio, study, command):
    outcome = raybio("study", command, study, "options.training.epochs=x", "options.modle=y")
    assert (outcome.code, outcome.out) == (2, "")
    assert "2 faults" in outcome.err and "did you mean 'model'?" in outcome.err


@pytest.mark.parametrize(("failed", "code"), [({}, 0), ({"minilm-x": "no luck"}, 1)])
def test_run_exits_with_1_where_a_run_failed_and_names_it(raybio, study, monkeypatch, failed, code):
    outcome = SimpleNamespace(finished=(), failed=failed)
    engine = SimpleNamespace(run_study=lambda config, progress: outcome)
    monkeypatch.setitem(sys.modules, "raybio.study.engine", engine)
    ended = raybio("study", "run", study)
    assert ended.code == code and "waiting" in ended.out
    assert ("1 runs failed: minilm-x" in ended.err) == bool(failed)


def test_the_job_script_is_the_door_of_study_run():
    command = [sys.executable, ROOT / "jobs" / "run_study.py", "no.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "raybio: no.yaml: 1 fault\n  - no such file; check the path, or see `raybio configs list`\n"
    )
