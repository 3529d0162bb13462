"""Peak memory of the whole process tree while tagging dumps of growing size.

    python benchmarks/memory.py --model runs/minilm-bc5cdr/model --citations 10000 50000

Each dump is tagged by `raybio tag` in a process of its own; the proportional set size (PSS, which
counts a shared page once) of it and all its descendants, and of it alone (the driver), is sampled until it
ends. The dump's
citations are short (`--abstract-words`), so that many fit in the time there is: what must not
grow is the memory that the number of citations costs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from raybio.corpora.sample import generate_dump
from raybio.evaluation.tables import align
from raybio.run_folder import environment

_SAMPLE_SECONDS = 1.0


def peak_memory(command: list[str]) -> tuple[int, int, float]:
    """Run `command`; return the highest PSS in bytes of its tree and of itself, and its wall seconds."""
    started = time.perf_counter()
    highest = driver = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            own = memory(root)
            driver = max(driver, own)
            highest = max(highest, own + sum(map(memory, _descendants(root))))
            time.sleep(_SAMPLE_SECONDS)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
    return highest, driver, time.perf_counter() - started


def memory(process: psutil.Process) -> int:
    """Return the PSS in bytes of a process; 0 where it has ended."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def _descendants(root: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def measure(arguments: argparse.Namespace, citations: int) -> dict[str, Any]:
    """Tag a dump of `citations`; return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "dump.xml.gz"
        generate_dump(dump, citations, abstract_words=arguments.abstract_words)
        raybio = Path(sys.executable).with_name("raybio")
        command = [str(raybio), "tag", str(dump), "--model", str(arguments.model)]
        command += ["--output", f"{folder}/tagged", "--precision", arguments.precision]
        command += ["--shard-documents", str(arguments.shard_documents)]
        peak, driver, seconds = peak_memory(command)
        summary = json.loads(Path(folder, "tagged", "summary.json").read_text())
    print(f"{citations:,} citations: {peak / 2**20:.0f} MiB, {seconds:.0f} s", flush=True)
    return {
        "citations": citations,
        "shards": summary["counts"]["shards"],
        "documents": summary["counts"]["documents"],
        "peak_bytes": peak,
        "driver_peak_bytes": driver,
        "seconds": seconds,
    }


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--citations", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--abstract-words", type=int, default=20)
    parser.add_argument("--shard-documents", type=int, default=1_000)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [measure(arguments, citations) for citations in arguments.citations]
    first = rows[0]["peak_bytes"]
    table = [
        (
            f"{row['documents']:,}",
            f"{row['shards']:,}",
            f"{row['peak_bytes'] / 2**20:,.0f}",
            f"{row['peak_bytes'] / first:.2f}",
            f"{row['driver_peak_bytes'] / 2**20:,.0f}",
        )
        for row in rows
    ]
    print("\n".join(align(("documents", "shards", "peak MiB", "ratio", "driver MiB"), table, words=0)))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "environment": environment()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
