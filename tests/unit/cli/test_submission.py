"""submit and jobs: what is refused before a cluster is asked, and what is printed; no cluster is there."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[3]
PUBMED = ROOT / "configs" / "tag_corpus" / "pubmed.yaml"
NOWHERE = "http://127.0.0.1:9"
PLACES = ["model=bundled:minilm", "input=[s3://b/in]", "output=s3://b/t"]


@pytest.fixture
def in_checkout(raybio, monkeypatch):
    """Run `raybio` in the checkout."""
    monkeypatch.chdir(ROOT)
    return raybio


def test_a_config_with_faults_is_refused_before_the_cluster_is_asked(in_checkout):
    outcome = in_checkout("submit", "tag-corpus", PUBMED, "modle=x", "--address", NOWHERE)
    assert (outcome.code, outcome.out) == (2, "")
    assert "did you mean 'model'?" in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tag-corpsu", PUBMED], "'tag-corpsu' is no job; allowed: adapt-encoder, "),
        (["train-encoder", PUBMED], "run `raybio tag-corpus` with it"),
        (["tag-corpus", PUBMED, *PLACES, "output=tagged"], "output 'tagged' is relative"),
    ],
)
def test_what_could_not_work_is_refused(in_checkout, words, said):
    outcome = in_checkout("submit", *words, "--address", NOWHERE)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


def test_only_a_checkout_can_be_submitted(raybio):
    outcome = raybio("submit", "tag-corpus", PUBMED, *PLACES, "--address", NOWHERE)
    assert outcome.code == 2
    assert "has no jobs/tag_corpus.py" in outcome.err


def test_a_cluster_that_does_not_answer_is_one_message(in_checkout):
    outcome = in_checkout("submit", "tag-corpus", PUBMED, *PLACES, "--address", NOWHERE)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"raybio: the cluster at {NOWHERE}: ")
    assert "Traceback" not in outcome.err
    assert in_checkout("jobs", "--address", NOWHERE).code == 1


@pytest.fixture
def room(monkeypatch):
    """Put a stand-in for the room `submission` in its place."""

    def replace(**contents):
        monkeypatch.setitem(sys.modules, "raybio.submission", SimpleNamespace(**contents))

    return replace


def test_submit_exits_as_the_job_did(raybio, room):
    asked = []

    def submit(*words, **options):
        asked.append((words, options.pop("progress") and options))
        return "the-id"

    def follow(name, address, show, progress):
        show("a line of its log\n")
        return 3

    room(submit=submit, follow=follow)
    assert raybio("submit", "serve", "c.yaml", "port=1", "--address", "http://x") == (
        3,
        "a line of its log\n",
        "",
    )
    outcome = raybio(
        *("submit", "serve", "c.yaml", "--address", "http://x", "--no-follow", "--cluster", "k.yaml"),
        *("--env", "HTTPS_PROXY=http://proxy", "--env", "A="),
    )
    assert outcome == (0, "the-id\n", "")
    assert asked == [
        (("serve", "c.yaml", ["port=1"], "http://x"), {"cluster_file": None, "environment": {}}),
        (
            ("serve", "c.yaml", [], "http://x"),
            {
                "cluster_file": "k.yaml",
                "environment": {"HTTPS_PROXY": "http://proxy", "A": ""},
            },
        ),
    ]


@dataclass
class Job:
    id: str
    job: str = "tag-corpus"
    state: str = "SUCCEEDED"
    exit_code: int | None = 0
    started: float | None = 1_000_000.0
    ended: float | None = 1_001_234.0
    message: str = ""


def test_jobs_lists_each_with_its_state_exit_code_and_times(raybio, room):
    jobs = [Job("a"), Job("bb", state="PENDING", exit_code=None, started=None, ended=None)]
    jobs.append(Job("c", state="RUNNING", exit_code=None, started=time.time() - 60, ended=None))
    room(list_jobs=lambda address: jobs)
    heading, first, waiting, running = raybio("jobs", "--address", "http://x").out.splitlines()
    assert heading.split() == ["id", "job", "state", "exit", "code", "started", "duration"]
    assert first.split()[:4] == ["a", "tag-corpus", "succeeded", "0"] and first.endswith("1,234 s")
    assert waiting.split() == ["bb", "tag-corpus", "pending"]
    assert running.split()[2] == "running" and running.endswith((" 60 s", " 61 s"))
    assert json.loads(raybio("jobs", "--json", "-").out)["jobs"][0]["exit_code"] == 0
