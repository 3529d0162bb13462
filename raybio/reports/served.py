"""One model served on one corpus, as the serving chapters speak of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raybio.reports.benchmark import Benchmark, Scenario, replicas, scenario
from raybio.reports.blocks import Shares
from raybio.reports.measurements import result_measurement
from raybio.reports.tables import ABSENT


@dataclass(frozen=True)
class Served:
    """One model served on one corpus: its result in a benchmark, under the name it has in the report."""

    benchmark: Benchmark
    result: Mapping[str, Any]
    name: str

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


def told_seconds(seconds: float | None) -> str:
    """Return seconds as they are written, a dash where they are not known."""
    return ABSENT if seconds is None else Shares.told(seconds)
