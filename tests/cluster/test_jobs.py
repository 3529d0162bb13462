"""Jobs on a real head: names, refusals, exit codes, what is sent, and stopping in the middle."""

import json
import re
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ray_head import OPENER, ROOT, Head
from submissions import CONFIG, words

from raybio.errors import REJECTED, STOPPED, UNUSABLE

# Ray kills a job this long after it has asked it to stop.
KILLED_AFTER = 3.0
UPLOAD_BYTES = 2_500_000


def committed(output: Path) -> int:
    return len(list((output / "ledger").rglob("0*.json")))


def wait_while(condition: Callable[[], bool], follower: subprocess.Popen[str]) -> None:
    """Wait for two minutes at most, while what follows the job lives."""
    until = time.monotonic() + 120
    while condition():
        assert follower.poll() is None, follower.communicate()
        assert time.monotonic() < until, "waited for two minutes"
        time.sleep(0.05)


def test_a_job_is_stopped_in_the_middle_and_resumes(
    head: Head, tiny_model: Path, many_documents: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    job = words(tiny_model, many_documents, output)
    follower = subprocess.Popen(
        head.command(*job),
        cwd=ROOT,
        env=head.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_while(lambda: all(job["status"] == "PENDING" for job in head.ask("/api/jobs/")), follower)
    (running,) = head.ask("/api/jobs/")
    name = running["submission_id"]
    assert re.fullmatch(r"tag-corpus-[0-9a-f]{12}-[0-9a-f]{8}", name)

    # The same work is refused while it runs. Asked before the first shard: to ask takes as long as many.
    refused = head.raybio(*job)
    assert (refused.returncode, refused.stdout) == (UNUSABLE, "")
    assert f"raybio: {name} does this work and is running." in refused.stderr

    wait_while(lambda: committed(output) < 2, follower)
    stopped_at = time.monotonic()
    head.ask(f"/api/jobs/{name}/stop", "POST")
    while not (state := head.ask(f"/api/jobs/{name}"))["end_time"]:
        time.sleep(0.05)
    assert time.monotonic() - stopped_at < KILLED_AFTER + 2
    assert state["status"] == "STOPPED"
    log, said = follower.communicate(timeout=60)
    assert follower.returncode == STOPPED
    assert f"submitted {name}: python jobs/tag_corpus.py {CONFIG}" in said
    assert "raybio: stopped. Run the same command again to resume: what is committed stays\n" in log
    assert "Traceback" not in log + said
    before = committed(output)
    assert 2 <= before < 100

    # Submitted again it is resumed, and every document is there once.
    again = head.raybio(*job)
    assert again.returncode == 0, again.stderr
    assert f"submitted before: {name}-2 resumes where that ended" in again.stderr
    shards = re.search(r"this run: (\d+) shards", again.stdout)
    assert shards and int(shards[1]) <= 100 - before
    rows = [
        row for path in (output / "documents").glob("*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    assert sorted(int(row["document_id"]) for row in rows) == list(range(1000))

    listed = json.loads(head.raybio("jobs", "--json", "-").stdout)["jobs"]
    assert [(job["id"], job["job"], job["state"], job["exit_code"]) for job in listed] == [
        (name, "tag-corpus", "STOPPED", None),
        (f"{name}-2", "tag-corpus", "SUCCEEDED", 0),
    ]
    assert all(job["ended"] > job["started"] for job in listed)


def test_what_is_sent_is_small(head: Head) -> None:
    """What the jobs before had as their folder: code and configs, and nothing else of the checkout."""
    (sent,) = head.folder.glob("session_2*/runtime_resources/working_dir_files/_ray_pkg_*/")
    files = [file for file in sent.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert {file.relative_to(sent).parts[0] for file in files} == {"raybio", "jobs", "configs"}
    assert 0 < sum(file.stat().st_size for file in files) < UPLOAD_BYTES


def test_rays_own_command_runs_a_job_whose_exit_code_is_kept(head: Head, tmp_path: Path) -> None:
    name = "no-such-model"
    ray = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", head.address]
    ray += ["--submission-id", name, "--working-dir", "."]
    done = head.run(*ray, "--", "python", "jobs/tag_corpus.py", CONFIG, f"model={tmp_path / 'none'}")
    assert done.returncode == 1  # whatever the driver's was
    assert head.ask(f"/api/jobs/{name}")["driver_exit_code"] == UNUSABLE
    assert "Traceback" not in head.ask(f"/api/jobs/{name}/logs")["logs"]


def test_too_many_rejected_records_have_a_code_of_their_own(
    head: Head, tiny_model: Path, tmp_path: Path
) -> None:
    source = tmp_path / "bad.jsonl"
    source.write_text("not json\n" * 3)
    done = head.raybio(*words(tiny_model, source, tmp_path / "out", "max_rejected=1"))
    assert done.returncode == REJECTED
    assert "more than max_rejected=1" in done.stdout


def test_what_finds_no_room_is_refused_before_it_is_sent(
    head: Head, tiny_model: Path, tmp_path: Path
) -> None:
    before = len(head.ask("/api/jobs/"))
    done = head.raybio(*words(tiny_model, tmp_path, tmp_path / "out", "taggers.gpus=1"))
    assert done.returncode == UNUSABLE
    assert "the job asks for 1 tagger with 1 CPU and 1 GPU, and there is room for 0" in done.stderr
    assert "The cluster has 1 node (2 CPU, 0 GPU)" in done.stderr
    assert len(head.ask("/api/jobs/")) == before


def test_nobody_is_let_in_without_the_token(head: Head) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        OPENER.open(f"{head.address}/api/jobs/", timeout=30)
    assert refused.value.code == 401
    stranger = replace(head, environment={**head.environment, "RAY_AUTH_TOKEN": "wrong"})
    done = stranger.raybio("jobs")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"raybio: the cluster at {head.address}: ")
