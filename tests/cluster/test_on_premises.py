"""docs/on_premises.md: a head without tasks and a node that joins it, on a disk that both see."""

from pathlib import Path

import pyarrow.parquet as pq
from ray_head import joined_node, ray_head
from submissions import words, write_documents

from raybio.errors import UNUSABLE

SECRET = "hf_of_nobody"


def test_a_job_runs_on_the_node_that_joined_and_not_on_the_head(tiny_model: Path, tmp_path: Path) -> None:
    source, output = write_documents(tmp_path / "in.jsonl", 40), tmp_path / "out"
    job = words(tiny_model, source, output)
    with ray_head(cpus=0) as head:
        alone = head.raybio(*job)
        assert alone.returncode == UNUSABLE
        assert "and there is room for 0. The cluster has 1 node (0 CPU, 0 GPU)" in alone.stderr
        with joined_node(head, cpus=2):
            done = head.raybio(*job, "--env", f"HF_TOKEN={SECRET}")
            assert done.returncode == 0, done.stdout + done.stderr
            [submitted] = head.ask("/api/jobs/")
            nodes = head.ask("/api/v0/nodes")["data"]["result"]["result"]
    [worker] = [node["node_id"] for node in nodes if not node["is_head_node"]]
    assert submitted["driver_node_id"] == worker
    # What goes along in the environment is in nothing that raybio writes.
    assert SECRET not in done.stdout + done.stderr + submitted["submission_id"] + submitted["entrypoint"]
    written = [file for file in output.rglob("*") if file.is_file()]
    assert len(written) > 5 and not any(SECRET.encode() in file.read_bytes() for file in written)
    # Input, model and output are on the disk that all see, and the page says that `submit` names them.
    assert "must be on storage that every node sees" in done.stderr
    assert all(str(path) in done.stderr for path in (tiny_model, source, output))
    rows = [
        row for path in (output / "documents").glob("*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    assert sorted(int(row["document_id"]) for row in rows) == list(range(40))
