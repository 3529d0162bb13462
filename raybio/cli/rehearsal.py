"""What `raybio preflight --rehearse` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from raybio.cost import Measurement, cheapest_at_least, dollars, rent
from raybio.evaluation.tables import align

if TYPE_CHECKING:
    from raybio.config.prices import InstancePrice
    from raybio.training.rehearsal import Rehearsal


def rehearsal_lines(found: Rehearsal, runs: int, prices: Sequence[InstancePrice]) -> Iterator[str]:
    """Yield the figures of a rehearsal for a person to read; `runs` is the number of a sweep's points."""
    corpus = found.rehearsed.corpus
    assert corpus and corpus.passes, "a rehearsal has a corpus"
    passes = corpus.passes
    yield f"rehearsed: {found.steps} steps of {passes.tokens // passes.steps:,} tokens, padding included"
    yield from (f"  not as configured: {change}" for change in found.changes)
    estimated, measured = found.rehearsed.memory.total, found.training_bytes
    header = ("memory of a worker", "estimated", "measured")
    rows = [
        ("training", _gib(estimated), f"{_gib(measured)} ({measured / estimated - 1:+.0%})"),
        ("tagging with the saved model", "", _gib(found.tagging_bytes)),
    ]
    yield from align(header, rows)
    yield f"seconds per step: {found.step_seconds:,.2f}"
    yield from _run_lines(found, runs, prices)
    tagged = " ".join(f"{word}/{tag}" for word, tag in zip(found.words, found.tags, strict=True))
    yield f"one sentence, tagged: {tagged}"


def _run_lines(found: Rehearsal, runs: int, prices: Sequence[InstancePrice]) -> Iterator[str]:
    if found.training_hours is None:
        yield "hours of the whole run: not known without its corpus"
        return
    hours = found.training_hours
    sweep = f", {runs * hours:,.1f} for the sweep of {runs}" if runs > 1 else ""
    yield f"hours of the whole run at this speed, all epochs, scoring left out: {hours:,.1f}{sweep}"
    speed = 1 / found.step_seconds
    measurement = Measurement("", "", speed, found.cpus, found.gpus, accelerator=found.accelerator)
    cheapest = cheapest_at_least(measurement, prices)
    if cheapest is None:
        yield "dollars: the price list has no machine with the device that was measured"
        return
    on_demand, _ = rent(cheapest, runs * hours)
    yield (
        f"dollars on a {cheapest.name}, were it as fast as this machine: {dollars(on_demand)} "
        f"({dollars(cheapest.on_demand)} an hour on demand, {cheapest.date})"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:,.2f} GiB"
