"""Peak memory of the whole process tree while tagging dumps of growing size.

    python benchmarks/memory.py --model runs/minilm-bc5cdr/model --citations 10000 50000

Each dump is tagged by `raybio tag` in a process of its own; the proportional set size (PSS, which
counts a shared page once) of it and all its descendants is sampled until it ends. The moment of the peak
is shown by process (Ray's workers under the name of what they run) and by kind of memory: `own` (anonymous),
`shared` (Ray's object store: of a set size, and touched bit by bit), and `files` (mapped
libraries and weights, which the system can take back). The dump's citations are short
(`--abstract-words`), so that many fit in the time there is: what must not grow is the memory that the
number of citations costs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from raybio.corpora.sample import generate_dump
from raybio.evaluation.tables import align
from raybio.run_folder import environment

_SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class Memory:
    """The PSS of one or more processes in bytes, by kind."""

    own: int = 0
    shared: int = 0
    files: int = 0

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.own + other.own, self.shared + other.shared, self.files + other.files)

    @property
    def total(self) -> int:
        """All of it."""
        return self.own + self.shared + self.files


_KINDS = {"Pss_Anon": "own", "Pss_Shmem": "shared", "Pss_File": "files"}
_DRIVER = "driver"


def peak_memory(command: list[str]) -> tuple[dict[str, Memory], int, float]:
    """Run `command`; return what each process held at the peak, the driver's own peak, and seconds."""
    started = time.perf_counter()
    peak: dict[str, Memory] = {}
    driver = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            now = {_DRIVER: memory(root)}
            for child in _descendants(root):
                name = _name(child)
                now[name] = now.get(name, Memory()) + memory(child)
            driver = max(driver, now[_DRIVER].total)
            peak = max(peak, now, key=total)
            time.sleep(_SAMPLE_SECONDS)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
    return peak, driver, time.perf_counter() - started


def total(held: dict[str, Memory]) -> int:
    """Return the bytes that all processes of `held` hold."""
    return sum(memory.total for memory in held.values())


def memory(process: psutil.Process) -> Memory:
    """Return the PSS of a process; nothing where it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return Memory()
    fields = dict(line.split(":", 1) for line in lines[1:])
    return Memory(**{kind: int(fields[field].split()[0]) * 1024 for field, kind in _KINDS.items()})


def _name(process: psutil.Process) -> str:
    """Return what a process of Ray is: the program, or the task or actor that a worker runs."""
    try:
        line = process.cmdline()
    except psutil.Error:
        return "ended"
    title = " ".join(line)
    if title.startswith("ray::"):
        return title.removeprefix("ray::").split("(")[0].split(".")[0].strip()
    script = next((word for word in line[1:] if word.endswith(".py")), line[0] if line else "ended")
    return Path(script).stem


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
        held, driver, seconds = peak_memory(command)
        summary = json.loads(Path(folder, "tagged", "summary.json").read_text())
    print(f"{citations:,} citations: {total(held) / 2**20:.0f} MiB, {seconds:.0f} s", flush=True)
    print(_by_process(held), flush=True)
    return {
        "citations": citations,
        "shards": summary["counts"]["shards"],
        "documents": summary["counts"]["documents"],
        "peak_bytes": total(held),
        "peak_by_process": {name: asdict(memory) for name, memory in held.items()},
        "driver_peak_bytes": driver,
        "seconds": seconds,
    }


def _by_process(held: dict[str, Memory]) -> str:
    """Return the table of a peak, the largest first, and the sum of each kind."""
    rows = [*sorted(held.items(), key=lambda item: -item[1].total), ("all", sum(held.values(), Memory()))]
    table = [
        (name, *(f"{size / 2**20:,.0f}" for size in (one.total, one.own, one.shared, one.files)))
        for name, one in rows
        if one.total >= 2**20
    ]
    return "\n".join(align(("at the peak", "MiB", "own", "shared", "files"), table))


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
