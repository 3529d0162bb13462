"""Charts of benchmark-serve results: latency, load, throughput, and where the seconds go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raybio.reports.benchmark import Scenario, scenario, scenarios
from raybio.reports.blocks import Axis, Chart, Line, Mark, Shares
from raybio.reports.served import Served

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
    lines = tuple(line for each in served for line in _load_line(each))
    if not any(line.marks for line in lines):
        return None
    return Chart(
        caption="Poisson arrivals: 99th percentile of latency against their rate, with 95 % interval",
        x=Axis("requests a second", log=True),
        y=Axis("seconds from the scheduled time", log=True),
        lines=lines,
        notes=tuple(_unanswered(served)),
    )


def _load_line(each: Served) -> Iterator[Line]:
    marks = tuple(_load_mark(load) for load in sorted(_loads(each), key=lambda one: one["point"]["rate"]))
    yield Line(each.name, tuple((mark.x, mark.y) for mark in marks), marks)


def _loads(each: Served) -> Iterator[Scenario]:
    for load in scenarios(each.result, "server"):
        if load.get("latency") and load["point"].get("rate"):
            yield load


def _unanswered(served: Sequence[Served]) -> Iterator[str]:
    """Yield the rates that have no latency to draw, since they were too much for the model."""
    for each in served:
        rates = [
            load["point"]["rate"] for load in scenarios(each.result, "server") if not load.get("latency")
        ]
        if rates:
            text = ", ".join(f"{rate:,.4g}" for rate in sorted(rates))
            yield f"Not drawn: {each.name} answered no request at {text} requests a second."


def _load_mark(load: Scenario) -> Mark:
    found = load["latency"]["p99"]
    return Mark(float(load["point"]["rate"]), found["value"], found["low"], found["high"])


def scaling_chart(served: Sequence[Served]) -> Chart | None:
    """Return throughput against replicas, over that of one, so that models of any speed share a scale."""
    lines = []
    for each in served:
        found = sorted(
            ((each.replicas(one), one["sentences_per_second"]) for one in scenarios(each.result, "scaling")),
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
