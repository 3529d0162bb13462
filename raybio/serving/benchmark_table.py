"""A benchmark's figures as plain text for a terminal; what comes first is whether the work was equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from raybio.evaluation.equal_work import MARK, describe_difference
from raybio.evaluation.latency import CONFIDENCE, fewest_for
from raybio.evaluation.tables import align

_HEADER = ("model", "corpus", "scenario", "point", "requests", "errors", "retries", "sentences/s",
           "p50 ms", "p90 ms", "p99 ms", "good %", "efficiency %")  # fmt: skip


def render_benchmark(report: Mapping[str, Any]) -> str:
    """Return all of benchmark.json, or as much as a terminal has room for, as text."""
    return "\n".join(_lines(report)) + "\n"


def unequal_work(report: Mapping[str, Any]) -> str:
    """Return one line that says where served answers were not the tagger's own; "" where all were."""
    places = [
        f"{result['model']} on {result['corpus']} ({describe_difference(result['accuracy'])})"
        for result in report["results"]
        if not result["accuracy"]["equal"]
    ]
    return f"{MARK}: the served answers are not the tagger's own: {'; '.join(places)}" if places else ""


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    if unequal := unequal_work(report):
        yield unequal
        yield ""
    for result in report["results"]:
        accuracy = result["accuracy"]
        same = "as the tagger alone" if accuracy["equal"] else "NOT as the tagger alone"
        yield (
            f"{result['model']} on {result['corpus']}: {result['sentences']:,} sentences, "
            f"strict F1 {_percent(accuracy['served_strict_f1'])}, {same}"
        )
    for failed in report["failed"]:
        yield f"{failed['model']} on {failed['corpus']}: FAILED: {failed['error']}"
    rows = [
        (result["model"], result["corpus"], *_cells(scenario))
        for result in report["results"]
        for scenario in result["scenarios"]
    ]
    yield ""
    yield from align(_HEADER, rows, words=4)
    yield (
        f"[ ] {CONFIDENCE:.0%} intervals; ? where the requests are too few for a bound: "
        f"{', '.join(f'p{percent} needs {fewest_for(percent)}' for percent in (50, 90, 99))}."
    )
    if any(row[2] == "paper" for row in rows):
        yield "paper: the study's way, one clock around all sentences in padded batches and their scoring."


def _cells(scenario: Mapping[str, Any]) -> list[str]:
    latency, goodput = scenario["latency"], scenario["goodput"]
    return [
        scenario["scenario"],
        ", ".join(f"{name} {value:.4g}" for name, value in scenario["point"].items()),
        f"{scenario['requests']:,}",
        f"{scenario['errors']:,}",
        f"{scenario['retries']:,}",
        f"{scenario['sentences_per_second']:,.1f}",
        *(_percentile(latency[name]) if latency else "" for name in ("p50", "p90", "p99")),
        f"{100 * goodput['fraction']:.1f}" if goodput else "",
        _percent(scenario["efficiency"]) if scenario["efficiency"] is not None else "",
    ]


def _percentile(found: Mapping[str, float | None]) -> str:
    value, low, high = (
        "?" if seconds is None else f"{1000 * seconds:,.1f}"
        for seconds in (found["value"], found["low"], found["high"])
    )
    return f"{value} [{low}, {high}]"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
