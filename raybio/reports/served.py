"""One model served on one corpus, as the serving chapters speak of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raybio.reports.benchmark import Benchmark, Scenario, replicas, scenario
from raybio.reports.blocks import Shares
from raybio.reports.measurements import result_measurement
from raybio.reports.tables import ABSENT
from raybio.reports.tested import documents_read, marked, named_results


@dataclass(frozen=True)
class Served:
    """One model served on one corpus: its result in a benchmark, under the name it has in the report.

    `ranked` says whether it may be called better, faster or cheaper than others: its answers were the
    tagger's own, and no other in the report tagged more sentences of the corpus.
    """

    benchmark: Benchmark
    result: Mapping[str, Any]
    name: str
    ranked: bool = True

    @property
    def corpus(self) -> str:
        """The corpus, as the run calls it."""
        return str(self.result["corpus"])

    @property
    def model(self) -> Mapping[str, Any]:
        """How the model was served: model, kind, precision, mode, cpus, gpus, threads."""
        return self.benchmark.models[self.result["model"]]

    @property
    def accuracy(self) -> Mapping[str, Any]:
        """How good the served answers are."""
        accuracy: Mapping[str, Any] = self.result["accuracy"]
        return accuracy

    @property
    def equal(self) -> bool:
        """Whether every served answer was the tagger's own."""
        return bool(self.accuracy["equal"])

    @property
    def sentences(self) -> int:
        """How many sentences of the corpus were tagged."""
        return int(self.result["sentences"])

    @property
    def strict_f1(self) -> float:
        """The served answers' strict F1 by the corrected scorer, as a fraction."""
        return float(self.accuracy["served_strict_f1"])

    @property
    def p50(self) -> float | None:
        """Median seconds of one request at a time, None where that was not measured."""
        single = scenario(self.result, "single-stream")
        return float(single["latency"]["p50"]["value"]) if single and single.get("latency") else None

    @property
    def throughput(self) -> float:
        """Sentences a second as measured for the cost: offline, else scaling; 0 where neither was."""
        measured = result_measurement(self.benchmark, self.result)
        return measured.sentences_per_second if measured else 0.0

    def replicas(self, measured: Scenario) -> int:
        """Return how many replicas served a scenario."""
        return replicas(self.benchmark, self.result["model"], measured)


def served_results(benchmarks: Sequence[Benchmark], corpus: str) -> list[Served]:
    """Return what benchmark runs served on a corpus, best first, and last what cannot be ranked.

    What read only a part of the corpus is marked.
    """
    found = list(named_results(benchmarks, corpus))
    most = max((result["sentences"] for _, result, _ in found), default=0)
    served = [
        Served(
            benchmark,
            result,
            marked(name, documents_read(benchmark, corpus)),
            ranked=bool(result["accuracy"]["equal"]) and result["sentences"] == most,
        )
        for benchmark, result, name in found
    ]
    return sorted(served, key=lambda each: (not each.ranked, -each.strict_f1))


def show_seconds(seconds: float | None) -> str:
    """Return seconds as they are written, a dash where they are not known."""
    return ABSENT if seconds is None else Shares.shown(seconds)
