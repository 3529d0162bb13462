"""What the ledger costs, by the number of shards: starting over, committing, closing, summing up.

    python benchmarks/ledger.py --shards 100 1000 10000 --json FILE

For each number, an output folder is filled as a tagging job fills it, eight shards to an input file,
but without a tagger: only the ledger is measured. Then a new ledger asks what is left to do, and
sums up what is there. Requests are the calls to the file system; an object store answers each of
them in tens of milliseconds. Peaks are of Python's own memory (tracemalloc), of that step alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import Ledger, ShardEntry
from raybio.evaluation.tables import align
from raybio.run_folder import environment

_SHARDS_OF_A_FILE = 8
_REQUESTS = ("cat_file", "exists", "ls", "rm")


class Counted(Ledger):
    """A ledger that counts what it asks the file system for."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.requests: Counter[str] = Counter()
        for name in _REQUESTS:
            setattr(self._filesystem, name, self._counting(name, getattr(type(self._filesystem), name)))

    def _counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.requests[name] += 1
            return function(self._filesystem, *arguments, **options)

        return counted


def input_files(shards: int) -> list[InputFile]:
    """Return the input files that make `shards` shards."""
    count = -(-shards // _SHARDS_OF_A_FILE)
    return [InputFile(f"in/f{i:05d}.xml.gz", f"f{i:05d}", "pubmed", f"{i:016x}") for i in range(count)]


def fill(ledger: Ledger, files: list[InputFile]) -> tuple[list[float], list[float]]:
    """Commit all shards and finish all files; return the seconds of each commit and of each finish."""
    commits, finishes = [], []
    for file in files:
        for number in range(_SHARDS_OF_A_FILE):
            entry = shard_entry(f"{file.key}-{number:05d}")
            commits.append(timed(lambda e=entry, f=file, n=number: ledger.commit(f, n, e))[0])
        finishes.append(timed(lambda f=file: ledger.finish(f, _SHARDS_OF_A_FILE, False))[0])
    return commits, finishes


def shard_entry(name: str) -> ShardEntry:
    """Return an entry as large as a real one."""
    files = {f"{table}/{name}.parquet": {"bytes": 123_456, "sha256": "0" * 64} for table in ("a", "b", "c")}
    counts = {"Chemical": 4_000, "Disease": 4_000}
    return ShardEntry(name, 1000, 200, 0, 0, 9_000, 200_000, counts, {"subwords": 300_000}, files, 1.5, 9.5)


def timed(step: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a step takes, and its result."""
    started = time.perf_counter()
    result = step()
    return time.perf_counter() - started, result


def peak(step: Callable[[], Any]) -> int:
    """Return the highest number of bytes that a step holds beyond what there was."""
    tracemalloc.start()
    step()
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return highest


def measure(shards: int) -> dict[str, Any]:
    """Return the figures of an output of `shards` shards."""
    with tempfile.TemporaryDirectory() as folder:
        files = input_files(shards)
        commits, finishes = fill(Ledger(folder), files)
        again = Counted(folder)
        start_seconds, left = timed(lambda: again.todo(files))
        if left:
            raise SystemExit("a finished file was taken for unfinished")
        start_requests = sum(again.requests.values())
        again.requests.clear()
        sum_seconds, total = timed(lambda: sum(entry.documents for entry in again.entries()))
        return {
            "shards": shards,
            "files": len(files),
            "documents": total,
            "commit_seconds_median": statistics.median(commits),
            "finish_seconds_median": statistics.median(finishes),
            "start_seconds": start_seconds,
            "start_requests": start_requests,
            "start_peak_bytes": peak(lambda: Ledger(folder).todo(files)),
            "sum_seconds": sum_seconds,
            "sum_requests": sum(again.requests.values()),
            "sum_peak_bytes": peak(lambda: sum(1 for _ in Ledger(folder).entries())),
            "ledger_bytes": sum(path.stat().st_size for path in Path(folder, "ledger").iterdir()),
        }


def main() -> None:
    """Measure each number of shards and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [measure(shards) for shards in arguments.shards]
    header = ("shards", "commit ms", "start ms", "requests", "peak KiB", "sum up ms", "requests", "peak KiB")
    table = [
        (
            f"{row['shards']:,}",
            f"{1e3 * row['commit_seconds_median']:.2f}",
            f"{1e3 * row['start_seconds']:.1f}",
            f"{row['start_requests']:,}",
            f"{row['start_peak_bytes'] / 1024:,.0f}",
            f"{1e3 * row['sum_seconds']:.0f}",
            f"{row['sum_requests']:,}",
            f"{row['sum_peak_bytes'] / 1024:,.0f}",
        )
        for row in rows
    ]
    print("\n".join(align(header, table, words=0)))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "environment": environment()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
