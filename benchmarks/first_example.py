"""CPU seconds of README's first example: train on the sample corpus, then tag a sentence.

    python benchmarks/first_example.py --json benchmarks/results/first_example-DAY.json

Each command runs in an empty folder as README has it. The CPU time of it and of all its descendants (Ray's
processes too) is sampled until it ends: what a process does after its last sample is not counted.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from raybio.run_folder import environment
from raybio.storage import write_json

_SAMPLE_SECONDS = 0.2
COMMANDS = (
    "raybio train-encoder minilm_bc5cdr corpus.name=sample name=first",
    'raybio tag --text "Lithium carbonate caused acute renal failure in mice." --model runs/first/model',
)


def measure(command: str, folder: str) -> dict[str, Any]:
    """Run a command in `folder`; return its CPU seconds by process tree, and the seconds by the clock."""
    words = [str(Path(sys.executable).with_name("raybio")), *shlex.split(command)[1:]]
    used: dict[tuple[int, float], float] = {}
    started = time.perf_counter()
    with subprocess.Popen(words, cwd=folder) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            for each in _tree(root):
                used.update(_cpu_seconds(each))
            time.sleep(_SAMPLE_SECONDS)
    if process.returncode:
        raise SystemExit(f"{command} exited with {process.returncode}")
    return {
        "command": command,
        "cpu_seconds": round(sum(used.values()), 1),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu_seconds(process: psutil.Process) -> dict[tuple[int, float], float]:
    """Return the CPU seconds of a process under its number and its start; nothing where it has ended."""
    try:
        times = process.cpu_times()
        return {(process.pid, process.create_time()): times.user + times.system}
    except psutil.Error:
        return {}


def main() -> None:
    """Measure each command and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", required=True, metavar="FILE", help="where the figures go")
    arguments = parser.parse_args()
    made = environment()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(command, folder) for command in COMMANDS]
    write_json(arguments.json, {"environment": made, "rows": rows})


if __name__ == "__main__":
    main()
