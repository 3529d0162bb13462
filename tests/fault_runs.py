"""Drivers as processes, which tests kill; and what must hold of their outputs, whatever died."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
from samples import tagging_config
from tiny_bert import write_tiny_bert
from transformers import AutoTokenizer

from raybio.bulk_tagging.ledger import Ledger, ShardEntry
from raybio.cluster import closed_environment, private_environment
from raybio.config import to_yaml
from raybio.model_sources import model_folder

SHARDS = 24
DOCUMENTS = 8
"""Documents of a shard."""
WAIT = 240.0
"""Seconds that a driver may take for anything."""

_FILES = 3
_MEMORY = {"object_store_memory": 100 * 2**20}


@contextmanager
def small_cluster(cpus: int) -> Iterator[Any]:
    """Start a cluster that belongs to no driver: it outlives those that are killed."""
    from ray._common.utils import get_default_ray_temp_dir
    from ray.cluster_utils import Cluster

    private_environment()
    # The cluster notes its address in Ray's own folder, which a fresh machine does not have.
    Path(get_default_ray_temp_dir()).mkdir(parents=True, exist_ok=True)
    # Sockets lie under this folder, and their paths may not be longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rb", dir="/tmp") as folder, closed_environment():
        head = {"num_cpus": cpus, "include_dashboard": False, "temp_dir": folder, **_MEMORY}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield cluster
        finally:
            cluster.shutdown()


class Faults:
    """Starts drivers on a cluster, each a process of its own, over one dump of `SHARDS` shards."""

    def __init__(self, address: str, folder: Path, **environment: str) -> None:
        self.folder = folder
        self._environment = {"RAY_ADDRESS": address, **environment}
        self._started: list[subprocess.Popen[str]] = []
        # It is inspected, and never tags.
        tokenizer = AutoTokenizer.from_pretrained(model_folder("bundled:minilm"))
        self._model = write_tiny_bert(folder / "model", tokenizer, ["Name"], max_length=64, overlap=16)
        self.dump = folder / "dump"
        self.dump.mkdir()
        documents = [f"Text of Document{i} helps Patients." for i in range(SHARDS * DOCUMENTS)]
        for file in range(_FILES):
            write_dump(self.dump / f"part{file}.jsonl", documents[file::_FILES], f"{file}-")

    def on(self, address: str) -> "Faults":
        """Return what starts the same drivers on another cluster; they end with these."""
        elsewhere = copy(self)
        elsewhere._environment = {"RAY_ADDRESS": address}
        return elsewhere

    def start(
        self,
        output: Path | str,
        source: Path | str | None = None,
        seconds: float = 0.0,
        replay: Path | None = None,
        **changes: Any,
    ) -> subprocess.Popen[str]:
        """Start a driver over `source`, the dump by default; documents take `seconds` each.

        With `replay` it tags the shards of these rejected records again.
        """
        fields = {"formats": ("parquet", "jsonl"), "shard_documents": DOCUMENTS, **changes}
        config = self.folder / f"driver-{len(self._started)}.yaml"
        config.write_text(to_yaml(tagging_config(self._model, source or self.dump, output, **fields)))
        program = str(Path(__file__).with_name("fault_driver.py"))
        driver = subprocess.Popen(
            [sys.executable, program, str(config), str(seconds), *([str(replay)] if replay else [])],
            env={**os.environ, **self._environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(driver)
        return driver

    def run(self, output: Path | str, *arguments: Any, **changes: Any) -> int:
        """Run a driver to its end; return its exit code."""
        driver = self.start(output, *arguments, **changes)
        _, said = driver.communicate(timeout=WAIT)
        print(said)
        return driver.returncode

    def close(self) -> None:
        """End the drivers that are still running."""
        for driver in self._started:
            driver.kill()
            driver.wait()


def write_dump(path: Path, texts: Iterable[str], prefix: str = "") -> None:
    """Write a JSON lines file of a document for each text."""
    lines = (json.dumps({"id": f"{prefix}{i}", "text": text}) + "\n" for i, text in enumerate(texts))
    path.write_text("".join(lines))


def wait_until(holds: Callable[[], bool], driver: subprocess.Popen[str] | None = None) -> bool:
    """Wait until something holds; return whether it did before the driver ended."""
    until = time.monotonic() + WAIT
    while not holds():
        if driver is not None and driver.poll() is not None:
            return False
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.02)
    return True


def committed(output: Path | str) -> int:
    """How many shards are in the output's ledger."""
    return sum(1 for _ in Ledger(str(output)).entries())


def kill(driver: subprocess.Popen[str]) -> None:
    """Kill a driver as the machine's power switch would."""
    driver.send_signal(signal.SIGKILL)
    driver.wait()


def workers() -> list[psutil.Process]:
    """The processes that hold taggers, of all drivers on the cluster."""
    children = psutil.Process().children(recursive=True)
    return [process for process in children if "_TagAndCommit" in _title(process)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def entries(output: Path) -> list[ShardEntry]:
    """The ledger's entries."""
    return list(Ledger(str(output)).entries())


def wasted(output: Path) -> int:
    """How many times a shard was begun beyond the time that committed it."""
    return sum(entry.attempts - 1 for entry in entries(output))


def rows(output: Path, table: str) -> list[dict[str, Any]]:
    """All rows of one of the output's tables, shard by shard."""
    files = sorted((output / table).glob("*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def check_whole(output: Path) -> None:
    """See that an output of the dump has each document once."""
    documents = range(SHARDS * DOCUMENTS // _FILES)
    expected = sorted(f"{file}-{number}" for file in range(_FILES) for number in documents)
    assert sorted(row["document_id"] for row in rows(output, "documents")) == expected


def check_equal(output: Path, undisturbed: Path) -> None:
    """Compare two outputs row by row: nothing lost, nothing doubled, nothing but what the ledger lists."""
    for table in ("documents", "mentions"):
        assert rows(output, table) == rows(undisturbed, table)
    for path in sorted((undisturbed / "jsonl").iterdir()):
        assert (output / "jsonl" / path.name).read_bytes() == path.read_bytes()
    listed = {name for entry in entries(output) for name in entry.files}
    written = {
        f"{folder.name}/{path.name}"
        for folder in output.iterdir()
        if folder.is_dir() and folder.name != "ledger"
        for path in folder.iterdir()
        if not path.name.startswith(".")
    }
    assert written == listed
