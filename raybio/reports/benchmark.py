"""Reading benchmark-serve runs: what they measured, each request's seconds, and the served answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raybio.errors import FormatError
from raybio.reports.sources import Run, TaggedSentence, read_json, read_run, read_tagged_sentences

FILE = "benchmark.json"
VERSION = 1
_REMEDY = "Run the benchmark again, or report with the raybio that wrote it"

Scenario = Mapping[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """A benchmark-serve run: `run` is its folder, `models` are keyed by served name.

    `results` holds, for each model and corpus, the accuracy of the served answers and the scenarios
    as measured; all seconds and rates are the file's own. `failed` are those that could not be measured,
    with the `error` of each.
    """

    run: Run
    models: Mapping[str, Mapping[str, Any]]
    results: tuple[Mapping[str, Any], ...]
    failed: tuple[Mapping[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.run.name

    def predictions(self, model: str, corpus: str) -> tuple[TaggedSentence, ...]:
        """Return the gold tags and the served ones, empty where the run kept none."""
        path = self.run.path / "predictions" / model / f"{corpus}.tsv"
        return tuple(read_tagged_sentences(path)) if path.is_file() else ()

    def seconds(self, model: str, corpus: str, scenario: Scenario) -> list[float]:
        """Return the client's seconds of each request that was answered, sorted; empty where not kept."""
        table = self._requests
        if table is None:
            return []
        wanted = {
            "model": model,
            "corpus": corpus,
            "scenario": scenario["scenario"],
            # As requests.parquet names it: "rate 5".
            "point": ", ".join(f"{name} {value:.4g}" for name, value in scenario["point"].items()),
        }
        for column, value in wanted.items():
            table = table.filter(pc.equal(table[column], value))
        return sorted(table["seconds"].to_pylist())

    @cached_property
    def _requests(self) -> pa.Table | None:
        path = self.run.path / "requests.parquet"
        if not path.is_file():
            return None
        columns = ["model", "corpus", "scenario", "point", "seconds", "error"]
        try:
            table = pq.read_table(path, columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise FormatError(str(path), "", f"not readable as Parquet: {error}", _REMEDY) from error
        return table.filter(pc.is_null(table["error"]))


def is_benchmark(path: Path) -> bool:
    """Say whether the folder at `path` is a benchmark-serve run."""
    return (path / FILE).is_file()


def read_benchmark(path: Path) -> Benchmark:
    """Read a benchmark-serve run folder.

    Raises:
        UsageError: there is no run folder at `path`.
        FormatError: one of its files cannot be read, or is of another version.
    """
    run = read_run(path)
    place = str(path / FILE)
    data = read_json(path / FILE)
    if not isinstance(data, dict) or data.get("version") != VERSION:
        found = data.get("version") if isinstance(data, dict) else None
        raise FormatError(place, "", f"found version {found!r}; version {VERSION} is known here", _REMEDY)
    try:
        benchmark = Benchmark(run, data["models"], tuple(data["results"]), tuple(data.get("failed", ())))
        for result in benchmark.results:
            _ = benchmark.models[result["model"]], result["corpus"], result["accuracy"]["served_strict_f1"]
            _ = [(scenario["scenario"], scenario["point"]) for scenario in result["scenarios"]]
        _ = [(each["model"], each["corpus"], each["error"]) for each in benchmark.failed]
    except (KeyError, TypeError) as error:
        raise FormatError(place, "", f"a part is missing or of another kind: {error}", _REMEDY) from error
    return benchmark


def scenarios(result: Mapping[str, Any], name: str) -> Iterator[Scenario]:
    """Yield the result's scenarios called `name`, in the file's order."""
    yield from (each for each in result["scenarios"] if each["scenario"] == name)


def scenario(result: Mapping[str, Any], name: str) -> Scenario | None:
    """Return the first scenario called `name`, or None."""
    return next(scenarios(result, name), None)


def replicas(benchmark: Benchmark, model: str, measured: Scenario) -> int:
    """Return how many replicas served the scenario."""
    return int(measured["point"].get("replicas") or benchmark.models[model].get("replicas") or 1)


def corpora(benchmarks: Sequence[Benchmark]) -> list[str]:
    """Return the corpora of all results, and of what failed, in order of appearance."""
    return list(dict.fromkeys(one["corpus"] for each in benchmarks for one in (*each.results, *each.failed)))
