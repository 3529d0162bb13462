"""Tables of benchmark-serve results: accuracy, latency, load, throughput, seconds per instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from raybio.cost import dollars
from raybio.evaluation.by_length import GROUPS
from raybio.evaluation.tables import NAMES, UNEQUAL
from raybio.reports.benchmark import Scenario, scenario, scenarios
from raybio.reports.blocks import Table
from raybio.reports.cost_section import Priced
from raybio.reports.published import SECONDS_PER_INSTANCE, SOURCE
from raybio.reports.served import Served, show_seconds
from raybio.reports.tables import ABSENT, interval, percent


def glance_table(served: Sequence[Served], priced: Sequence[Priced]) -> Table:
    """Return each model's answer to the reader's three questions: how good, how fast, at what cost."""
    costs = {id(each.served): each for each in priced}
    rows = []
    for each in served:
        cost = costs.get(id(each))
        single = scenario(each.result, "single-stream")
        p99 = single["latency"]["p99"]["value"] if single and single.get("latency") else None
        rows.append(
            (
                each.name,
                percent(each.strict_f1),
                show_seconds(each.p50),
                show_seconds(p99),
                f"{each.throughput:,.1f}" if each.throughput else ABSENT,
                dollars(cost.cost.per_million_abstracts) if cost else ABSENT,
                cost.instance.name if cost else ABSENT,
                ", ".join((" ".join(str(part) for part in _making(each)), *_marks(each))),
            )
        )
    return Table(
        caption="How good, how fast, at what cost",
        header=("model", "F1", "p50", "p99", "sentences/s", "1M abstracts", "on", "served as"),
        rows=tuple(rows),
        notes=(
            "F1: strict, corrected scorer, of the served answers. p50 and p99: one request at a time. "
            "Dollars: on demand, extrapolated from the measured throughput to the machine on which it is "
            "cheapest.",
        ),
    )


def _making(each: Served) -> Iterator[Any]:
    yield each.model.get("kind", "model")
    yield each.model.get("precision", "")
    if each.model.get("mode"):
        yield each.model["mode"]


def _marks(each: Served) -> Iterator[str]:
    """Yield why nothing else in the row may be set against other rows."""
    if not each.equal:
        yield UNEQUAL
    elif not each.ranked:
        yield "not all sentences"


def accuracy_table(served: Sequence[Served]) -> Table:
    """Return the F1 of the served answers beside that of the tagger alone."""
    rows = tuple(
        (
            each.name,
            percent(each.strict_f1),
            interval(each.accuracy["corrected"].get("intervals"), "f1"),
            percent(each.accuracy["offline_strict_f1"]),
            f"{each.sentences:,}",
            "yes" if each.equal else "NO",
            f"{each.accuracy['different_sentences']:,}",
            f"{each.accuracy['unanswered_sentences']:,}",
            percent(each.accuracy["paper"]["overall"]["strict"]["f1"]),
        )
        for each in served
    )
    return Table(
        caption="Strict F1 of the served answers in percent, and whether they are the tagger's own",
        header=(
            "model",
            "served",
            "interval",
            "tagger alone",
            "sentences",
            "equal",
            "that differ",
            "without answer",
            "paper scorer",
        ),
        rows=rows,
        strong=frozenset(n for n, each in enumerate(served) if not each.equal),
    )


def length_table(served: Sequence[Served]) -> Table:
    """Return strict F1 by length of entity: the sound way, then the paper's."""
    rows = tuple(
        (
            each.name,
            way,
            *(percent(each.accuracy[scorer][group]["strict"]["f1"]) for group in ("overall", *GROUPS)),
        )
        for each in served
        for scorer, way in (("corrected", "sound"), ("paper", "paper's"))
    )
    return Table(
        caption="Strict F1 by length of entity, in percent",
        header=("model", "way", *(NAMES[group] for group in ("overall", *GROUPS))),
        rows=rows,
        notes=("The paper's way puts every false alarm on entities of 1 word.",),
        words=2,
    )


def latency_table(served: Sequence[Served]) -> Table | None:
    """Return the percentiles of one request at a time, or None where no model was so measured."""
    percentiles = ("p50", "p90", "p99")
    rows = tuple(
        (
            each.name,
            f"{single['requests']:,}",
            f"{single['errors']:,}",
            _latency_cell(single, "mean"),
            *_percentile_cells(single, percentiles),
            _latency_cell(single, "max"),
        )
        for each in served
        for single in scenarios(each.result, "single-stream")
    )
    header = ("model", "requests", "errors", "mean", *_percentile_names(percentiles), "max")
    return Table("Milliseconds at the client", header, rows, notes=(_INTERVALS,)) if rows else None


def load_table(served: Sequence[Served]) -> Table | None:
    """Return latency and goodput at each rate of arrival, or None where no load was measured."""
    percentiles = ("p50", "p99")
    rows = tuple(
        (
            each.name,
            f"{load['point'].get('rate', 0):,.4g}",
            f"{load['requests']:,}",
            f"{load['errors']:,}",
            f"{load['retries']:,}",
            *_percentile_cells(load, percentiles),
            *_goodput_cells(load),
        )
        for each in served
        for load in scenarios(each.result, "server")
    )
    return (
        Table(
            caption="Milliseconds from the scheduled time, and requests answered in time",
            header=(
                *("model", "requests/s", "requests", "errors", "retries"),
                *_percentile_names(percentiles),
                *("in time", "target"),
            ),
            rows=rows,
            notes=(_INTERVALS + " Requests that queue behind each other make them too narrow.",),
        )
        if rows
        else None
    )


_INTERVALS = (
    "Intervals: 95 %, from order statistics, whatever the distribution. A question mark: too few requests to "
    "bound the percentile on that side. A dash: no request was answered."
)


def _percentile_names(percentiles: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for percentile in percentiles for name in (percentile, "interval"))


def _percentile_cells(measured: Scenario, percentiles: Sequence[str]) -> Iterator[str]:
    """Yield each percentile and its interval; dashes where no request was answered."""
    for name in percentiles:
        found = (measured.get("latency") or {}).get(name)
        yield _milliseconds(found["value"]) if found else ABSENT
        yield f"{_milliseconds(found['low'])} to {_milliseconds(found['high'])}" if found else ABSENT


def _latency_cell(measured: Scenario, name: str) -> str:
    latency = measured.get("latency")
    return _milliseconds(latency[name]) if latency else ABSENT


def _milliseconds(seconds: float | None) -> str:
    return "?" if seconds is None else f"{1000 * seconds:,.1f}"


def _goodput_cells(measured: Scenario) -> tuple[str, str]:
    goodput = measured.get("goodput")
    if not goodput:
        return ABSENT, ABSENT
    return f"{100 * goodput['fraction']:.1f} %", show_seconds(goodput["target_seconds"])


def throughput_table(served: Sequence[Served]) -> Table | None:
    """Return throughput offline and with more replicas, or None where neither was measured."""
    rows = tuple(
        (
            each.name,
            measured["scenario"],
            f"{each.replicas(measured):,}",
            f"{measured['sentences_per_second']:,.2f}",
            f"{measured['words_per_second']:,.1f}",
            ABSENT if measured.get("efficiency") is None else f"{100 * measured['efficiency']:.1f} %",
            _number(measured.get("batch_sentences_mean")),
            f"{measured['requests']:,}",
            f"{measured['errors']:,}",
            f"{measured['retries']:,}",
            f"{measured['wall_seconds']:,.1f} s",
        )
        for each in served
        for name in ("offline", "scaling")
        for measured in scenarios(each.result, name)
    )
    if not rows:
        return None
    return Table(
        caption="Everything at once: throughput as measured",
        header=(
            *("model", "scenario", "replicas", "sentences/s", "words/s", "efficiency"),
            *("sentences a batch", "requests", "errors", "retries", "wall"),
        ),
        rows=rows,
        notes=("Efficiency: throughput over that of one replica times the replicas.",),
        words=2,
    )


def study_seconds_table(served: Sequence[Served], corpus: str) -> Table | None:
    """Return seconds per instance beside the study's Table IV, or None where it has not the corpus."""
    published = SECONDS_PER_INSTANCE.get(corpus.removesuffix("-study"))
    rows = [row for each in served for row in _seconds_rows(each)]
    if not published or not rows:
        return None
    theirs = tuple(
        (model, "published", "as the study's code timed it", f"{seconds:.4f}", ABSENT)
        for model, seconds in published.items()
    )
    return Table(
        caption=f"Seconds per instance on {corpus} test",
        header=("model", "source", "how it was timed", "mean s", "p50 s"),
        rows=(*rows, *theirs),
        notes=(
            f"Published figures: Table IV of {SOURCE}, on other hardware, so the two do not compare across. "
            "'paper' timing is the study's way: the wall time of the whole split in padded batches, scoring "
            "inside the clock, divided by the instances: throughput, called time per instance. One request "
            "at a time is what a client waits for.",
        ),
        words=3,
        strong=frozenset(range(len(rows))),
    )


def _seconds_rows(each: Served) -> Iterator[tuple[str, ...]]:
    for single in scenarios(each.result, "single-stream"):
        if single.get("latency"):
            latency = single["latency"]
            mean, p50 = f"{latency['mean']:.4f}", f"{latency['p50']['value']:.4f}"
            yield each.name, "this report", "one request at a time", mean, p50
    for timed in scenarios(each.result, "paper"):
        seconds = timed["wall_seconds"] / max(1, each.result["sentences"])
        yield each.name, "this report", "'paper' timing: wall / instances", f"{seconds:.4f}", ABSENT


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.1f}"
