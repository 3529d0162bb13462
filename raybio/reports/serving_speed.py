"""How fast served models are: latency, load, throughput, and where the seconds go, as charts and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raybio.reports.benchmark import Scenario, scenario, scenarios
from raybio.reports.blocks import Axis, Chart, Line, Mark, Shares, Table
from raybio.reports.published import SECONDS_PER_INSTANCE, SOURCE
from raybio.reports.served import Served, show_seconds
from raybio.reports.tables import ABSENT

_STEPS = 60
_PERCENTS = {"p50": 50.0, "p90": 90.0, "p99": 99.0}


def latency_chart(served: Sequence[Served]) -> Chart | None:
    """Return how many of the requests, one at a time, were answered within so many seconds."""
    lines = tuple(line for each in served for line in _distribution(each))
    if not lines:
        return None
    return Chart(
        caption="Requests answered within so many seconds",
        x=Axis("seconds at the client", log=True),
        y=Axis("percent of requests", from_zero=True),
        lines=lines,
        notes=("Marked: p50, p90 and p99 with their 95 % intervals.",),
    )


def _distribution(each: Served) -> Iterator[Line]:
    single = scenario(each.result, "single-stream")
    if single and single.get("latency"):
        seconds = each.benchmark.seconds(each.result["model"], each.corpus, single)
        marks = tuple(
            Mark(found["value"], percent, found["low"], found["high"], across=True)
            for name, percent in _PERCENTS.items()
            for found in [single["latency"][name]]
        )
        yield Line(each.name, tuple(_steps(seconds)), marks)


def _steps(seconds: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Yield (seconds, percent of requests that took no longer) of sorted figures, thinned out evenly."""
    count = len(seconds)
    ranks = sorted({round(step * (count - 1) / _STEPS) for step in range(_STEPS + 1)}) if count else []
    for rank in ranks:
        yield max(seconds[rank], 1e-6), 100 * (rank + 1) / count


def load_chart(served: Sequence[Served]) -> Chart | None:
    """Return the 99th percentile against the rate of arrivals, or None where no load was measured."""
    lines = []
    for each in served:
        loads = sorted(
            (
                load
                for load in scenarios(each.result, "server")
                if load.get("latency") and load["point"].get("rate")
            ),
            key=lambda load: load["point"]["rate"],
        )
        found = [(load["point"]["rate"], load["latency"]["p99"]) for load in loads]
        marks = tuple(Mark(float(rate), p99["value"], p99["low"], p99["high"]) for rate, p99 in found)
        lines.append(Line(each.name, tuple((mark.x, mark.y) for mark in marks), marks))
    if not any(line.marks for line in lines):
        return None
    return Chart(
        caption="Poisson arrivals: 99th percentile of latency against their rate, with 95 % interval",
        x=Axis("requests a second", log=True),
        y=Axis("seconds from the scheduled time", log=True),
        lines=tuple(lines),
        notes=tuple(_unanswered(served)),
    )


def _unanswered(served: Sequence[Served]) -> Iterator[str]:
    """Yield the rates that have no latency to draw, since they were too much for the model."""
    for each in served:
        rates = [
            load["point"]["rate"] for load in scenarios(each.result, "server") if not load.get("latency")
        ]
        if rates:
            text = ", ".join(f"{rate:,.4g}" for rate in sorted(rates))
            yield f"Not drawn: {each.name} answered no request at {text} requests a second."


def scaling_chart(served: Sequence[Served]) -> Chart | None:
    """Return throughput against replicas, over that of one, so that models of any speed share a scale."""
    lines = []
    for each in served:
        found = sorted(
            (each.replicas(one), one["sentences_per_second"]) for one in scenarios(each.result, "scaling")
        )
        if len(found) > 1 and found[0][1]:
            alone = found[0][1] / found[0][0]
            points = tuple((float(count), rate / alone) for count, rate in found)
            lines.append(Line(each.name, points, tuple(Mark(*point) for point in points)))
    if not lines:
        return None
    counts = sorted({x for line in lines for x, _ in line.points})
    most = counts[-1]
    ideal = Line("as many times as replicas", ((1.0, 1.0), (most, most)), guide=True)
    return Chart(
        caption="Throughput against replicas: times that of one",
        x=Axis("replicas", named=tuple((count, f"{count:g}") for count in counts)),
        y=Axis("times the throughput of one", from_zero=True),
        lines=(*lines, ideal),
    )


def seconds_apart(served: Sequence[Served]) -> Shares | None:
    """Return where the seconds of one request at a time go, or None where it was not measured."""
    rows = []
    for each in served:
        for single in scenarios(each.result, "single-stream"):
            seconds = single.get("seconds") or {}
            client, replica, model = (seconds.get(part) for part in ("client", "replica", "model"))
            if client is not None and replica is not None and model is not None:
                apart = (model, max(0.0, replica - model), max(0.0, client - replica))
                rows.append((each.name, apart))
    if not rows:
        return None
    return Shares(
        "Where the seconds of a request go, one at a time: means", ("model", "replica", "client"), tuple(rows)
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
            ABSENT
            if measured.get("batch_sentences_mean") is None
            else f"{measured['batch_sentences_mean']:,.1f}",
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
