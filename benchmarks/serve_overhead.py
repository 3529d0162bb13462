"""What serving costs on top of the model: latency of a handle, throughput when full, and a second replica.

    python benchmarks/serve_overhead.py --model RUN/model --data DATA [--sentences N] [--json FILE]

All parts ask for the same BC5CDR test sentences, chosen at even distances, of replicas with `--threads`
computing threads:

- handle: one sentence at a time; what a request takes beyond the model's own seconds (at most 5 ms),
  beside what Ray Serve takes for deployments that do nothing, and that wait as long as the model works:
  processes that slept for so long wake up slowly, which is Ray Serve's and the machine's part;
- full: one replica with requests waiting at all times, against the bare tagger in a process of its own
  that is given all sentences at once (at least 90 % of its throughput);
- replicas: two against one, both full (at least 1.7 times the throughput, where there are two cores).

Throughputs are taken in turns, `--rounds` times, so that a busy moment of the machine meets all alike;
ratios are the medians of the rounds' own. Quote them from an idle machine only: its load before the
start is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray import serve

from raybio.cluster import connected
from raybio.config import CorpusSection, ServedModelSection
from raybio.entities import Sentence
from raybio.evaluation.latency import percentile
from raybio.evaluation.tables import align
from raybio.run_folder import environment
from raybio.sentence_stream import read_sentences
from raybio.serving.answers import Answer
from raybio.serving.client import Client
from raybio.serving.deployment import ONE_LOOP, deploy, handle_of, undeploy
from raybio.serving.load_generator import in_window, together, warm_up
from raybio.serving.replica import load
from raybio.serving.scenarios import figures_of
from raybio.taggers import Tags

TARGETS = {"handle": 0.005, "full": 0.9, "replicas": 1.7}


@ray.remote(num_cpus=0)
class BareTagger:
    """The model of a replica, without the replica."""

    def __init__(self, section: ServedModelSection) -> None:
        _, self._tagger = load(section)

    def tag(self, sentences: Sequence[Sentence]) -> float:
        """Tag all sentences; return the sentences per second."""
        started = time.perf_counter()
        self._tagger.tag(sentences)
        return len(sentences) / (time.perf_counter() - started)


_UNSAID = ("model", "data", "json")


@serve.deployment(ray_actor_options={"num_cpus": 0, "runtime_env": ONE_LOOP}, max_ongoing_requests=64)
class Waits:
    """What Ray Serve takes by itself around `seconds` in which a model would work."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def tag(
        self, sentences: Sequence[Sentence], seconds_allowed: float | None = None
    ) -> AsyncIterator[Answer]:
        """Answer without having read anything."""
        started = time.perf_counter()
        if self._seconds:
            await asyncio.sleep(self._seconds)
        tags = tuple(Tags(("O",) * len(s), (1.0,) * len(s)) for s in sentences)
        yield Answer(tags, time.perf_counter() - started, 0.0, 1, 1, "")


def served_with(replicas: int, arguments: argparse.Namespace) -> ServedModelSection:
    """Return the model with so many replicas.

    They set no CPUs aside, so that all can stand ready beside each other; only one at a time works.
    """
    return ServedModelSection(
        name=f"replicas-{replicas}",
        model=str(arguments.model.absolute()),
        precision=arguments.precision,
        replicas=replicas,
        cpus=0.0,
        threads=arguments.threads,
        max_batch_words=arguments.batch_words,
    )


def handle(client: Client, sentences: Sequence[Sentence], seconds: float) -> dict[str, Any]:
    """Ask for one sentence after the other; return how long, and how much of that was not the model."""
    requests = together(sentences, 1)

    async def drive() -> Any:
        await warm_up(client.tag, requests, 1, seconds)
        return await in_window(client.tag, requests, 1)

    served = [outcome.served for outcome in asyncio.run(drive())]
    return {
        name: asdict(percentile(values, 50))
        for name, values in {
            "client": [each.seconds for each in served],
            "replica": [each.answer.replica_seconds for each in served],
            "model": [each.answer.model_seconds for each in served],
            "beyond_the_model": [each.seconds - each.answer.model_seconds for each in served],
        }.items()
    }


def full(
    client: Client, replicas: int, sentences: Sequence[Sentence], arguments: argparse.Namespace
) -> float:
    """Keep the replicas busy until all sentences are tagged; return the sentences per second.

    They are asked for so often that the requests in flight are a small part of all: Ray Serve's router
    sends a burst after a pause to one replica, and evens it out with what comes next; and at the end
    a replica without work waits for the others.
    """
    requests = together(sentences, arguments.request_sentences) * (arguments.passes * replicas)
    window = arguments.window * replicas
    figures = figures_of("offline", asyncio.run(in_window(client.tag, requests, window)))
    if figures.errors:
        raise SystemExit(f"{figures.errors} requests failed: there is nothing to compare")
    return figures.sentences_per_second


def in_turns(
    bare: Any, clients: dict[int, Client], sentences: Sequence[Sentence], arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Take the throughput of the bare tagger, one replica and two, round after round; the first is lost."""
    rates: dict[str, list[float]] = {"bare": [], "replicas-1": [], "replicas-2": []}
    for number in range(arguments.rounds + 1):
        found = {
            "bare": ray.get(bare.tag.remote(sentences)),
            **{f"replicas-{n}": full(client, n, sentences, arguments) for n, client in clients.items()},
        }
        reported = ", ".join(f"{name} {rate:.1f}" for name, rate in found.items())
        print(f"{f'round {number}' if number else 'warm-up'}: {reported} sentences/s", flush=True)
        if number:
            for name, rate in found.items():
                rates[name].append(rate)
    return rates


def waiting(sentences: Sequence[Sentence], seconds: float, warmup_seconds: float) -> dict[str, Any]:
    """Return the handle's figures for a deployment that only waits."""
    serve.run(Waits.bind(seconds), name="waits", route_prefix=None)  # type: ignore[attr-defined]
    try:
        return handle(Client(handle_of("waits")), sentences, warmup_seconds)
    finally:
        undeploy("waits")


def measure(sentences: Sequence[Sentence], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return all parts."""
    sections = {replicas: served_with(replicas, arguments) for replicas in (1, 2)}
    bare = BareTagger.remote(sections[1])
    try:
        clients = {replicas: Client(deploy(section)) for replicas, section in sections.items()}
        rates = in_turns(bare, clients, sentences, arguments)
        alone = handle(clients[1], sentences, arguments.warmup_seconds)
        model_seconds = alone["model"]["value"]
        nothing, as_long = (
            waiting(sentences, seconds, arguments.warmup_seconds) for seconds in (0.0, model_seconds)
        )
    finally:
        for section in sections.values():
            undeploy(section.name)
    return {
        "handle": {"p50": alone, "found": beyond(alone)},
        "nothing": {"p50": nothing, "found": beyond(nothing)},
        "waits": {"p50": as_long, "found": beyond(as_long)},
        "full": {"found": median_ratio(rates["replicas-1"], rates["bare"])},
        "replicas": {"found": median_ratio(rates["replicas-2"], rates["replicas-1"])},
        "sentences_per_second": rates,
    }


def beyond(figures: dict[str, Any]) -> float:
    """Return the median seconds beyond the model's."""
    return float(figures["beyond_the_model"]["value"])


def median_ratio(rates: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the rounds' ratios: what slows a whole round down does not count."""
    return statistics.median(a / b for a, b in zip(rates, others, strict=True))


def table(found: dict[str, Any]) -> str:
    """Return what was found beside what is asked for."""
    seconds = found["handle"]["p50"]["beyond_the_model"]
    low, high = (
        "?" if bound is None else f"{1000 * bound:.2f}" for bound in (seconds["low"], seconds["high"])
    )
    rows = [
        (
            "handle: p50 beyond the model's seconds",
            f"{1000 * seconds['value']:.2f} ms [{low}, {high}]",
            "<= 5 ms",
        ),
        ("the same of a deployment that does nothing", f"{1000 * found['nothing']['found']:.2f} ms", ""),
        ("of one that waits as long as the model works", f"{1000 * found['waits']['found']:.2f} ms", ""),
        ("full: one replica / bare tagger", f"{found['full']['found']:.3f}", ">= 0.9"),
        ("replicas: two / one", f"{found['replicas']['found']:.2f}", ">= 1.7"),
    ]
    return "\n".join(align(("part", "found", "asked"), rows))


def main() -> None:
    """Measure, print the table, and write it where `--json` says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a model folder trained on BC5CDR")
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--sentences", type=int, default=400)
    parser.add_argument("--precision", default="fp32", help="fp32, bf16 or int8")
    parser.add_argument("--threads", type=int, default=1, help="of each replica and of the bare tagger")
    parser.add_argument(
        "--request-sentences", type=int, default=16, help="sentences of one request, when full"
    )
    parser.add_argument(
        "--window", type=int, default=16, help="requests in flight for each replica, when full"
    )
    parser.add_argument(
        "--passes", type=int, default=3, help="over all sentences for each replica, when full"
    )
    parser.add_argument("--batch-words", type=int, default=4096, help="of a replica's batches, at most")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--warmup-seconds", type=float, default=5.0, help="before the handle's part")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    before = os.getloadavg()
    print(f"load average before the start: {before[0]:.2f} on {os.cpu_count()} cores", flush=True)
    every = list(read_sentences(CorpusSection(name="BC5CDR", data=arguments.data), "test"))
    count = min(arguments.sentences, len(every))
    sentences = [every[i * len(every) // count] for i in range(count)]
    with connected():
        found = measure(sentences, arguments)
    print(table(found))
    if arguments.json:
        report = {
            "arguments": {name: value for name, value in vars(arguments).items() if name not in _UNSAID},
            "asked": TARGETS,
            **found,
            "load_average_before": before,
            "environment": environment(),
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
