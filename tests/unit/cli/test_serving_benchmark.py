"""The command benchmark-serve: what it reads, prints and writes; what it does is tested with Ray."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from raybio.errors import ServingError
from raybio.serving.scenarios import Figures, MeanSeconds

ROOT = Path(__file__).resolve().parents[3]
SMOKE = ROOT / "configs" / "benchmark_serve" / "smoke.yaml"

REPORT = {
    "version": 1,
    "results": [
        {
            "model": "minilm",
            "corpus": "BC5CDR",
            "sentences": 100,
            "accuracy": {"served_strict_f1": 0.9, "offline_strict_f1": 0.9, "equal": True},
            "scenarios": [Figures("offline", 25, 2.0, 50.0, 900.0, MeanSeconds(0.1)).to_dict()],
        }
    ],
    "failed": [],
}


def stand_in(check=lambda: None):
    """A benchmark that measured `REPORT`."""
    done = SimpleNamespace(run=SimpleNamespace(path=Path("runs/a")), report=REPORT, check=check)
    return SimpleNamespace(benchmark_serve=lambda config, progress: done)


def test_what_failed_is_its_exit_code_after_what_was_measured(raybio, monkeypatch):
    def check():
        raise ServingError("1 of 2 measurements failed: llama on BC5CDR: it did not start")

    monkeypatch.setitem(sys.modules, "raybio.serving.benchmark", stand_in(check))
    outcome = raybio("benchmark-serve", SMOKE)
    assert (outcome.code, outcome.err.startswith("starting Ray ...\nraybio: 1 of 2 measurements failed")) == (
        1,
        True,
    )
    assert outcome.out.startswith("minilm on BC5CDR") and outcome.out.endswith("run folder: runs/a\n")


def test_it_prints_the_table_and_where_the_run_is(raybio, monkeypatch):
    configs = []

    def benchmark_serve(config, progress):
        configs.append(config)
        progress("measuring")
        return stand_in().benchmark_serve(config, progress)

    measuring = SimpleNamespace(benchmark_serve=benchmark_serve)
    monkeypatch.setitem(sys.modules, "raybio.serving.benchmark", measuring)
    outcome = raybio("benchmark-serve", SMOKE, "seed=3")
    assert (outcome.code, outcome.err) == (0, "starting Ray ...\nmeasuring\n")
    assert outcome.out.startswith("minilm on BC5CDR: 100 sentences, strict F1 90.00, as the tagger alone\n")
    assert outcome.out.endswith("run folder: runs/a\n")
    assert configs[0].seed == 3
    assert json.loads(raybio("benchmark-serve", SMOKE, "--json", "-").out) == {"run": "runs/a", **REPORT}


def test_it_refuses_another_jobs_config(raybio):
    outcome = raybio("benchmark-serve", ROOT / "configs" / "tag_corpus" / "pubmed.yaml")
    assert outcome.code == 2
    assert "run `raybio tag-corpus` with it" in outcome.err


def test_the_job_script_is_its_door():
    command = [sys.executable, ROOT / "jobs" / "benchmark_serve.py", "no.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "raybio: no.yaml: 1 fault\n  - no such file; check the path, or see `raybio configs list`\n"
    )
