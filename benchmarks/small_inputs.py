"""What small inputs cost: one text and one small file by raybio, beside the model's loading by transformers.

    python benchmarks/small_inputs.py --model RUN/model --input FILE --repeat 5 --json FILE

Four commands, in turn: transformers alone loads the model and reads one text; `raybio tag --text` does the
same; `raybio tag FILE` without Ray and on it. CPU seconds are those of a command's process and of all that
descend from it, Ray's included: other work on the machine changes them little, while it changes how long
a command takes. Linux alone counts them so.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from raybio.evaluation.tables import align
from raybio.run_folder import environment

TEXT = "Naloxone reverses the antihypertensive effect of clonidine."
ALONE = """
import sys
from transformers import AutoModelForTokenClassification, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForTokenClassification.from_pretrained(sys.argv[1])
model(**tokenizer(sys.argv[2], return_tensors="pt"))
"""
_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER


def commands(model: str, source: str, output: Path) -> dict[str, list[str]]:
    """Return the commands by name; what tags a file does so into a new output."""
    raybio = [sys.executable, "-m", "raybio", "tag", "--model", model]
    tag = [*raybio, source, "--output"]
    return {
        "transformers alone": [sys.executable, "-c", ALONE, model, TEXT],
        "raybio tag --text": [*raybio, "--text", TEXT],
        "raybio tag FILE --no-ray": [*tag, f"{output}-alone", "--no-ray"],
        "raybio tag FILE --ray": [*tag, f"{output}-ray", "--ray"],
    }


def cost(command: list[str]) -> dict[str, float]:
    """Run a command to the end of all its processes; return its seconds of the clock and of the CPU."""
    before, started = _cpu_seconds(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    while True:
        try:
            os.wait()  # those that outlived it are ours now
        except ChildProcessError:
            return {"seconds": seconds, "cpu_seconds": _cpu_seconds() - before}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure each command `--repeat` times, in turn, after one that warms the disk's cache."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, help="a model that tags")
    parser.add_argument("--input", required=True, help="a small file")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--without-ray", action="store_true", help="leave out the command that starts Ray")
    parser.add_argument("--json", help="where the figures go")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)
    measured: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(-1, options.repeat):
            for name, command in commands(options.model, options.input, Path(folder) / str(turn)).items():
                if options.without_ray and name.endswith(" --ray"):
                    continue
                found = cost(command)
                print(f"{turn} {name}: {found}", file=sys.stderr, flush=True)
                if turn >= 0:
                    measured.setdefault(name, []).append(found)
    medians = {
        name: {key: statistics.median(each[key] for each in runs) for key in ("cpu_seconds", "seconds")}
        for name, runs in measured.items()
    }
    rows: list[list[Any]] = [
        [name, f"{found['cpu_seconds']:.1f}", f"{found['seconds']:.1f}"] for name, found in medians.items()
    ]
    print("\n".join(align(["command", "CPU seconds", "seconds"], rows)))
    if options.json:
        result = {"input_bytes": Path(options.input).stat().st_size, "medians": medians, "runs": measured}
        Path(options.json).write_text(
            json.dumps({**result, "environment": environment()}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
