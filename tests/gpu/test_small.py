"""The checks themselves, as `make gpu` runs them, with tiny models on a CPU and without Ray."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu import checks, models
from gpu.__main__ import CHECKS, main
from gpu.checks import Check, CheckFailedError, run_checks
from gpu.setting import make_setting

ROOT = Path(__file__).parents[2]
WITHOUT_RAY = "import runpy, sys; sys.modules['ray'] = None; runpy.run_module('gpu', run_name='__main__')"
RUN = ("encoder-bf16", "identity-fp32", "qlora-4bit")


@pytest.fixture
def setting(tmp_path):
    return make_setting("cpu", True, tmp_path, None, None, None, None)


def test_they_run_on_a_cpu_where_ray_is_not_installed(tmp_path):
    found = tmp_path / "results.json"
    command = [sys.executable, "-c", WITHOUT_RAY, "--device", "cpu", "--small", "--json", str(found)]
    done = subprocess.run(
        [*command, "--only", *RUN, "serve-half-gpu"],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'benchmarks'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(found.read_text(encoding="utf-8"))
    assert {"device", "date", "commit", "environment"} < results.keys()
    ended = {check["name"]: check for check in results["checks"]}
    assert {name: ended[name]["status"] for name in RUN} == dict.fromkeys(RUN, "passed")
    assert ended["serve-half-gpu"]["why"] == "ray not installed here"
    assert all(row["same"] == row["sentences"] == 2 for row in ended["identity-fp32"]["figures"])
    (step,) = ended["qlora-4bit"]["figures"]
    assert step["words_tagged"] > 0
    assert "3 passed, 1 skipped" in done.stdout


def test_without_a_gpu_one_line_says_what_would_have_been_run(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert main() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("no GPU here: 11 checks would have been run (encoder-bf16, ")
    assert all(check.name in line for check in CHECKS)


def test_a_mode_that_gives_other_tags_fails_its_check(setting, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from gpu import identity

    decode = identity.decoded

    def forgets_the_draft(llm, mode, sentences, drafts):
        other = sentences[::-1] if mode == "verified-tags" else sentences
        return decode(llm, mode, other, drafts[::-1] if mode == "verified-tags" else drafts)

    monkeypatch.setattr(identity, "decoded", forgets_the_draft)
    with pytest.raises(CheckFailedError, match="verified-tags differs from forced-tags in fp32") as failure:
        identity.in_full_precision(setting)
    assert len(failure.value.figures) == 5


def test_a_fault_costs_one_check_and_time_that_is_over_the_rest(setting, monkeypatch):
    def fails(_):
        raise CheckFailedError("no", [{"a": 1}])

    monkeypatch.setattr(models, "llm_shape", fails)
    first, second = Check("a", "", "models.llm_shape"), Check("b", "", "models.nothing_of_that_name")
    failed, faulty = run_checks([first, second], setting, 60)
    assert (failed.status, failed.why, failed.figures) == ("failed", "no", [{"a": 1}])
    assert (faulty.status, faulty.why.partition(":")[0]) == ("failed", "AttributeError")
    (late,) = run_checks([first], setting, -1)
    assert (late.status, late.why.partition(":")[0]) == ("skipped", "no time was left for it")
    assert checks.Outcome("a", "", "passed").to_dict()["peak_gib"] is None
