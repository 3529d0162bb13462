"""Autoscaling for real, on one machine: a job asks for GPUs, nodes come, and go when it is done.

The nodes are processes and their GPUs are numbers: taggers compute on the CPU.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ray_head import Head, ray_head
from submissions import words, write_documents

NODES = 3
DOCUMENTS = 6000
"""Work for one node until another has had the time to come."""
GPU_NODE = {
    "resources": {"CPU": 1, "GPU": 1, "object_store_memory": 100 * 2**20},
    "node_config": {},
    "min_workers": 0,
    "max_workers": NODES,
}
_GONE_SECONDS = 120

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head({"gpu": GPU_NODE}) as started:
        yield started


def gpu_nodes(head: Head) -> int:
    nodes = head.ask("/api/v0/nodes?detail=1")["data"]["result"]["result"]
    return sum(node["state"] == "ALIVE" and "GPU" in node["resources_total"] for node in nodes)


def test_nodes_come_for_a_job_and_go_after_it_and_every_row_arrives(
    head: Head, tiny_model: Path, tmp_path: Path
) -> None:
    seen = [gpu_nodes(head)]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            seen.append(gpu_nodes(head))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        cluster = tmp_path / "cluster.yaml"
        cluster.write_text(
            f"max_workers: {NODES}\nhead_node_type: head\navailable_node_types:\n"
            f"  head: {{resources: {{CPU: 2}}}}\n  gpu: {{resources: {{CPU: 1, GPU: 1}}}}\n"
        )
        more = ["taggers.count=null", f"taggers.max_count={NODES}", "taggers.gpus=1"]
        job = words(tiny_model, write_documents(tmp_path / "many.jsonl", DOCUMENTS), tmp_path / "out", *more)
        done = head.raybio(*job, "--cluster", cluster)
        assert done.returncode == 0, done.stdout + done.stderr
        until = time.monotonic() + _GONE_SECONDS
        while seen[-1] and time.monotonic() < until:
            time.sleep(0.5)
    finally:
        over.set()
        watcher.join()
    # How many come before the work is done depends on how fast the machine is.
    assert seen[0] == seen[-1] == 0 and 2 <= max(seen) <= NODES
    tables = (tmp_path / "out" / "documents").glob("*.parquet")
    rows = [row["document_id"] for table in tables for row in pq.read_table(table).to_pylist()]
    assert sorted(map(int, rows)) == list(range(DOCUMENTS))
