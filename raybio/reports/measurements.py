"""What run folders say about speed, as `raybio.cost` takes it: sentences a second, and on how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from raybio.cost import Measurement, whole_gpus
from raybio.errors import UsageError
from raybio.evaluation.tables import UNEQUAL, describe_difference
from raybio.reports.benchmark import Benchmark, is_benchmark, read_benchmark, replicas, scenarios
from raybio.reports.sources import Tagging, read_tagging
from raybio.run_folder import PROVENANCE_FILES


def read_measurements(path: Path) -> list[Measurement]:
    """Read what the benchmark-serve run, or the tagged output, at `path` measured.

    Raises:
        UsageError: it is neither, or it measured no throughput.
        FormatError: one of its files cannot be read.
    """
    if is_benchmark(path):
        found = list(benchmark_measurements(read_benchmark(path)))
        if not found:
            raise UsageError(
                f"{path} measured no throughput. Run its benchmark with the scenario offline or scaling"
            )
        return found
    if any((path / name).is_file() for name in PROVENANCE_FILES):
        return [tagging_measurement(read_tagging(path))]
    raise UsageError(
        f"{path} is neither a benchmark-serve run (benchmark.json) nor a tagged output "
        f"({PROVENANCE_FILES[0]})"
    )


def benchmark_measurements(benchmark: Benchmark) -> Iterator[Measurement]:
    """Yield the throughput of each model on each corpus of which one was measured."""
    for result in benchmark.results:
        found = result_measurement(benchmark, result)
        if found:
            yield found


def result_measurement(benchmark: Benchmark, result: Mapping[str, Any]) -> Measurement | None:
    """Return the throughput of one result: offline where that was run, else of one replica scaling."""
    measured = next((each for name in ("offline", "scaling") for each in scenarios(result, name)), None)
    if measured is None or not measured.get("sentences_per_second"):
        return None
    model = benchmark.models[result["model"]]
    count = replicas(benchmark, result["model"], measured)
    scaled = [each for each in scenarios(result, "scaling") if each.get("efficiency")]
    widest = max(scaled, key=lambda each: replicas(benchmark, result["model"], each), default=None)
    several = widest is not None and replicas(benchmark, result["model"], widest) > 1
    # A replica computes with its threads, whatever Ray set aside for it.
    cpus = max(float(model.get("cpus") or 0), float(model.get("threads") or 0))
    kind = "replica" if count == 1 else "replicas"
    accuracy = result["accuracy"]
    unequal = "" if accuracy["equal"] else f"{UNEQUAL} ({describe_difference(accuracy)}): "
    return Measurement(
        name=f"{result['model']} on {result['corpus']}",
        how=(
            f"{unequal}{measured['scenario']}, {count} {kind}, {result['sentences']:,} sentences of "
            f"{result['corpus']} {result['split']} in {measured['wall_seconds']:,.1f} s, run {benchmark.name}"
        ),
        sentences_per_second=float(measured["sentences_per_second"]),
        cpus=count * cpus,
        gpus=whole_gpus(count, float(model.get("gpus") or 0)),
        efficiency=float(widest["efficiency"]) if widest is not None and several else None,
        strict_f1=accuracy["served_strict_f1"],
        accelerator=model.get("accelerator"),
    )


def tagging_measurement(tagging: Tagging) -> Measurement:
    """Return the throughput of the last run over a tagged output.

    Raises:
        UsageError: the output does not tell its throughput, or not on how many CPUs or GPUs.
    """
    summary = tagging.summary or {}
    documents, seconds = summary.get("documents_this_run"), summary.get("tagging_seconds")
    if not documents or not seconds:
        raise UsageError(
            f"{tagging.path}: summary.json tells no throughput, for no run has ended or the last had nothing "
            "left to tag. Tag into a new output"
        )
    model, counts = str(tagging.provenance.get("model", "a model")), summary["counts"]
    # The counts are the whole output's; a run tells its documents only.
    sentences = documents * counts["sentences"] / max(1, counts["documents"])
    cpus, gpus = _devices(tagging, summary.get("pool") or {})
    return Measurement(
        name=f"{model.rstrip('/').rsplit('/', 1)[-1]} in {tagging.path.name}",
        how=(
            f"bulk tagging of {documents:,} documents in {seconds:,.1f} s "
            f"({documents / seconds:,.2f} documents/s of {sentences / documents:.1f} sentences), "
            f"output {tagging.path.name}"
        ),
        sentences_per_second=sentences / seconds,
        cpus=cpus,
        gpus=gpus,
        accelerator=_accelerator(summary.get("environment") or {}) if gpus else None,
    )


def _devices(tagging: Tagging, pool: Mapping[str, Any]) -> tuple[float, int]:
    """Return the CPUs, or the GPUs, of all taggers together: of as many as the cluster had room for."""
    taggers = tagging.provenance.get("config", {}).get("taggers", {})
    gpus = float(taggers.get("gpus") or 0)
    count = pool.get("taggers") or (None if taggers.get("max_count") else taggers.get("count"))
    if not count:
        kind = "GPUs" if gpus else "CPUs"
        raise UsageError(
            f"{tagging.path} does not tell how many {kind} tagged it. Tag with taggers.count=N to measure"
        )
    if gpus:
        cards = whole_gpus(count, gpus)
        return 0.0, min(cards, int(pool.get("cluster_gpus", cards)))
    # A tagger computes with its threads, whatever Ray set aside for it.
    cpus = count * max(float(taggers.get("cpus") or 0), float(taggers.get("threads") or 0))
    return min(cpus, float(pool.get("cluster_cpus", cpus))), 0


def _accelerator(environment: Mapping[str, Any]) -> str | None:
    """Return the kind of the machine's GPUs, None where they are of several, or none are named."""
    kinds = set(str(environment.get("accelerators") or "").split(", "))
    return (kinds.pop() or None) if len(kinds) == 1 else None
