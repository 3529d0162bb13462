"""What a served model does with more requests than it can answer, and what HTTP costs beyond the model.

    python benchmarks/serve_overload.py --model RUN/model [--precision int8] [--json FILE]

The client is wrk (https://github.com/wg/wrk; on Debian and Ubuntu the package `wrk`): with one thread it
takes a small part of a core. It keeps so many connections busy with one text, each of which asks again as
soon as it is answered, from 1 connection to 1,000.

Two servers are asked in turns, in the same run, and the one that is not asked has nothing to do:

- served: `raybio serve`;
- bare: one process with uvicorn, the same interface, batches and tagger, without Ray.

For each number of connections: answers a second, refusals (503) and other errors, latency, CPU seconds of
all of the server's processes for each answer, and their memory afterwards. wrk leaves without the last
answer of each connection, so with many connections a little of the CPU time is of requests without one.
The last lines say what is held: at 4 and 10 times the connections with which 95 % of the best throughput
is reached first, a server should answer at least 85 % of its best.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import uvicorn

from raybio.config import ServeConfig, ServedModelSection, job_of
from raybio.config.serve import LimitsSection
from raybio.entities import Sentence
from raybio.evaluation.tables import align
from raybio.run_folder import environment
from raybio.serving.answers import Answer, Served
from raybio.serving.app import create_app
from raybio.serving.batcher import Batcher
from raybio.serving.ingress import served
from raybio.serving.replica import load, tag_requests

TEXT = (
    "Naloxone reverses the antihypertensive effect of clonidine. In unanesthetized, spontaneously "
    "hypertensive rats the decrease in blood pressure and heart rate produced by intravenous clonidine, "
    "5 to 20 micrograms/kg, was inhibited or reversed by nalozone, 0.2 to 2 mg/kg."
)

_SCRIPT = """
wrk.method, wrk.body, wrk.headers["Content-Type"] = "POST", %s, "application/json"
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() answered, refused, wrong = 0, 0, 0 end
function response(status)
  if status == 200 then answered = answered + 1
  elseif status == 503 then refused = refused + 1
  else wrong = wrong + 1 end
end
function done(summary, latency)
  local function sum(name)
    local found = 0
    for _, thread in ipairs(threads) do found = found + thread:get(name) end
    return found
  end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '\\nFOUND {"seconds": %%f, "answered": %%d, "refused": %%d, "errors": %%d, "p50": %%f, "p99": %%f}\\n',
    summary.duration / 1e6, sum("answered"), sum("refused"), sum("wrong") + errors,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
"""

HELD = 0.85
"""Part of its best throughput that a server should keep."""


TURNS = 4
"""A point takes so long that each connection can be answered so many times: the first flood is a part."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a server did with so many connections; latencies in seconds are of answers and refusals."""

    connections: int
    answers_per_second: float
    refused: int
    errors: int
    p50: float
    p99: float
    cpu_ms: float
    memory_mib: float


class InProcess:
    """A model in this very process, as the interface sees it."""

    def __init__(self, section: ServedModelSection) -> None:
        self._thread = ThreadPoolExecutor(1)
        _, self._tagger = self._thread.submit(load, section).result()
        self.info = {"name": section.name}
        self._batcher: Batcher | None = None
        self._section = section

    async def tag(self, sentences: Sequence[Sentence]) -> Served:
        """Tag as a replica does."""
        loop = asyncio.get_running_loop()
        if self._batcher is None:
            self._batcher = Batcher(
                lambda requests: loop.run_in_executor(self._thread, tag_requests, self._tagger, requests),
                max_words=self._section.max_batch_words,
                max_requests=self._section.max_ongoing_requests,
            )
        started = time.perf_counter()
        found = await self._batcher.tag(sentences)
        seconds = time.perf_counter() - started
        answer = Answer(
            found.tags, found.model_seconds, seconds, found.batch_requests, found.batch_size, "bare"
        )
        return Served(answer, seconds, 0)


def serve_bare(section: ServedModelSection, port: int) -> None:
    """Serve the model from one process until it is killed."""
    app = create_app({section.name: InProcess(section)}, LimitsSection())
    uvicorn.run(app, port=port, access_log=False, log_level="warning", backlog=2048)


@contextmanager
def bare(section: ServedModelSection) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the model from one process; give its address and the process."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve_bare, args=(section, port))
    process.start()
    try:
        for _ in range(600):
            with socket.socket() as trial:
                if not trial.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.1)
        assert process.pid is not None
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.join()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def processes_of(root: psutil.Process, others: Sequence[int]) -> list[psutil.Process]:
    """Return a process and its children, but for `others`."""
    return [each for each in (root, *root.children(recursive=True)) if each.pid not in others]


def seconds_of(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU seconds that they have taken."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def measure(
    address: str,
    processes: Sequence[psutil.Process],
    connections: int,
    seconds: int,
    script: Path,
) -> Point:
    """Keep so many connections busy for `seconds`."""
    before = seconds_of(processes)
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "300s",
        "-s", str(script), f"{address}/tag",
    ]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(next(line for line in said.splitlines() if line.startswith("FOUND"))[6:])
    spent = seconds_of(processes) - before
    memory = sum(process.memory_full_info().uss for process in processes) / 2**20
    # What wrk left is dropped, or answered to nobody, before the next is measured.
    time.sleep(1 + found["p50"])
    return Point(
        connections,
        found["answered"] / found["seconds"],
        found["refused"],
        found["errors"],
        found["p50"],
        found["p99"],
        1000 * spent / max(1, found["answered"]),
        memory,
    )


def median_point(points: Sequence[Point]) -> Point:
    """Return the medians of the rounds; of errors and refusals the sums."""

    def middle(name: str) -> float:
        return statistics.median(getattr(point, name) for point in points)

    return Point(
        points[0].connections,
        middle("answers_per_second"),
        sum(point.refused for point in points),
        sum(point.errors for point in points),
        *(middle(name) for name in ("p50", "p99", "cpu_ms", "memory_mib")),
    )


def table(curves: dict[str, list[Point]]) -> str:
    """Return the curves as text."""
    rows = []
    for name, points in curves.items():
        best = max(point.answers_per_second for point in points)
        rows += [
            (
                name,
                f"{point.connections:,}",
                f"{point.answers_per_second:.1f}",
                f"{100 * point.answers_per_second / best:.0f} %",
                f"{point.refused:,}",
                f"{point.errors:,}",
                f"{point.p50:.2f}",
                f"{point.p99:.2f}",
                f"{point.cpu_ms:.1f}",
                f"{point.memory_mib:,.0f}",
            )
            for point in points
        ]
    header = (
        "server", "connections", "answers/s", "of its best", "refused", "errors", "p50 s", "p99 s",
        "CPU ms/answer", "memory MiB",
    )  # fmt: skip
    return "\n".join(align(header, rows))


def kept(points: Sequence[Point]) -> dict[str, float]:
    """Return the part of the best throughput at 4 and 10 times the connections that reach 95 % of it."""
    best = max(point.answers_per_second for point in points)
    saturated = next(p.connections for p in points if p.answers_per_second >= 0.95 * best)
    return {
        f"{times} x {saturated}": min(
            (p.answers_per_second / best for p in points if p.connections >= times * saturated),
            default=float("nan"),
        )
        for times in (4, 10)
    }


def main() -> None:
    """Measure, print the table, and write it where `--json` says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a trained model's folder")
    parser.add_argument("--precision", default="int8", help="fp32, bf16 or int8")
    parser.add_argument(
        "--connections", default="1,4,16,64,256,640,1000", help="numbers of connections, rising"
    )
    parser.add_argument("--seconds", type=int, default=20, help="of each point, at least")
    parser.add_argument("--rounds", type=int, default=3, help="over all points; medians are shown")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed: on Debian and Ubuntu, apt install wrk")
    # Ray gives way to other programs; the bare server does not, and both are to be alike.
    os.environ.setdefault("RAY_worker_niceness", "0")
    before = os.getloadavg()
    print(f"load average before the start: {before[0]:.2f} on {os.cpu_count()} cores", flush=True)
    model = {"name": "model", "model": str(arguments.model.absolute()), "precision": arguments.precision}
    config = job_of(ServeConfig, {"port": free_port(), "models": [model]}, "the arguments")
    connections = [int(number) for number in arguments.connections.split(",")]
    found: dict[str, dict[int, list[Point]]] = {}
    with (
        tempfile.NamedTemporaryFile("w", suffix=".lua") as script,
        served(config, print) as address,
        bare(config.models[0]) as (bare_address, bare_process),
    ):
        script.write(_SCRIPT % json.dumps(json.dumps({"text": TEXT})))
        script.flush()
        servers = {
            "served": (address, processes_of(psutil.Process(), [bare_process.pid])),
            "bare": (bare_address, [bare_process]),
        }
        for server in servers.values():
            measure(*server, 16, arguments.seconds, Path(script.name))
        for number in range(arguments.rounds):
            for count in connections:
                for name, server in servers.items():
                    points = found.setdefault(name, {})
                    best = max((p.answers_per_second for each in points.values() for p in each), default=1)
                    seconds = max(arguments.seconds, math.ceil(TURNS * count / best) if points else 0)
                    point = measure(*server, count, seconds, Path(script.name))
                    points.setdefault(count, []).append(point)
                    print(f"round {number + 1}: {name}: {point}", flush=True)
    curves = {name: [median_point(each) for each in points.values()] for name, points in found.items()}
    print(table(curves))
    for name, points in curves.items():
        for where, part in kept(points).items():
            print(f"{name}: {100 * part:.0f} % of its best at {where} connections and beyond")
    if arguments.json:
        report: dict[str, Any] = {
            "arguments": {
                name: value for name, value in vars(arguments).items() if name not in ("model", "json")
            },
            "held": HELD,
            "curves": {name: [asdict(point) for point in points] for name, points in curves.items()},
            "kept": {name: kept(points) for name, points in curves.items()},
            "load_average_before": before,
            "environment": environment(),
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
