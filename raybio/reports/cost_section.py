"""What served models cost: a table by machine, F1 against dollars, and what the figures rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raybio.config.prices import InstancePrice
from raybio.cost import (
    Assumptions,
    Measurement,
    UnitCost,
    basis,
    dollars,
    dollars_a_point,
    fits,
    pareto_front,
    points_per_dollar,
    unit_cost,
)
from raybio.reports.blocks import Axis, Block, Chart, Line, Mark, Table
from raybio.reports.measurements import result_measurement
from raybio.reports.served import Served, show_seconds
from raybio.reports.tables import ABSENT, interval, percent

_ASSUMPTIONS = Assumptions()
_DOLLARS = Axis("dollars for a million abstracts, on demand", log=True)
_F1 = Axis("strict F1 in percent, with 95 % interval")


@dataclass(frozen=True)
class Priced:
    """A served model on one kind of machine, and what that costs."""

    served: Served
    measurement: Measurement
    instance: InstancePrice
    cost: UnitCost

    @property
    def model(self) -> str:
        """The model, as its run calls it."""
        return str(self.served.result["model"])

    @property
    def choice(self) -> tuple[float, float]:
        """Dollars for a million abstracts on demand, and strict F1 as a fraction."""
        # Rounded, so that of machines at one price for each CPU the first of the list is taken.
        return round(self.cost.per_million_abstracts, 9), self.served.strict_f1


def priced(served: Sequence[Served], prices: Sequence[InstancePrice]) -> list[Priced]:
    """Return each model whose throughput was measured on the machine where it is cheapest."""
    return [
        min(found, key=lambda each: each.choice[0])
        for each in served
        if (found := list(_on_all(each, prices)))
    ]


def cost_blocks(cheapest: Sequence[Priced], prices: Sequence[InstancePrice]) -> Iterator[Block]:
    """Yield the chart and tables of what the models cost, and what is measured and what is not."""
    if not cheapest:
        yield (
            "There are no dollars: no throughput was measured (scenario offline or scaling), or there is no "
            "price list with the device that was measured."
        )
        return
    yield _front_chart(cheapest)
    yield _front_table(cheapest)
    yield _machine_table([each for one in cheapest for each in _on_all(one.served, prices)])
    yield from _grounds(cheapest)
    used = {(machine.date, machine.source) for machine in prices}
    yield "Prices: " + "; ".join(f"{source}, read on {day}" for day, source in sorted(used)) + "."


def corpora_blocks(cheapest: Sequence[Priced]) -> Iterator[Block]:
    """Yield the table of models on several corpora: what they cost, and how good they are there.

    Each corpus has its own chart in its chapter: F1 on one does not compare with F1 on another.
    """
    models = dict.fromkeys(each.model for each in cheapest)
    yield Table(
        caption="How good, how fast, at what cost, corpus by corpus",
        header=("model", "corpus", "F1", "interval", "one at a time, p50", "sentences/s", "1M abstracts"),
        rows=tuple(
            (
                model,
                each.served.corpus,
                percent(each.served.strict_f1),
                interval(each.served.accuracy["corrected"].get("intervals"), "f1"),
                show_seconds(each.served.p50),
                f"{each.measurement.sentences_per_second:,.1f}",
                dollars(each.choice[0]),
            )
            for model in models
            for each in cheapest
            if each.model == model
        ),
        notes=(
            "Dollars are extrapolated from the measured throughput, a model on its cheapest machine. F1 on "
            "one corpus does not compare with F1 on another.",
        ),
        words=2,
    )


def _on_all(served: Served, prices: Sequence[InstancePrice]) -> Iterator[Priced]:
    measurement = result_measurement(served.benchmark, served.result)
    if measurement and (measurement.cpus or measurement.gpus):
        for machine in prices:
            if fits(measurement, machine):
                yield Priced(served, measurement, machine, unit_cost(measurement, machine, _ASSUMPTIONS))


def _front(cheapest: Sequence[Priced]) -> list[Priced]:
    ranked = [each for each in cheapest if each.served.ranked]
    return [ranked[index] for index in pareto_front([each.choice for each in ranked])]


def _front_chart(cheapest: Sequence[Priced]) -> Chart:
    front = [(each.choice[0], 100 * each.served.strict_f1) for each in _front(cheapest)]
    lines = [Line(each.served.name, marks=(_f1_mark(each),)) for each in cheapest]
    # The guide comes last, so that colours go by model as in the other charts.
    guide = (
        [Line("Pareto front: nobody is better for less", tuple(front), guide=True)] if len(front) > 1 else []
    )
    return Chart(
        caption="F1 against cost, each model on the machine where it is cheapest",
        x=_DOLLARS,
        y=_F1,
        lines=(*lines, *guide),
        notes=("Dollars are extrapolated; see below.",),
    )


def _f1_mark(each: Priced) -> Mark:
    found = each.served.accuracy["corrected"].get("intervals")
    low, high = (100 * found["f1"]["low"], 100 * found["f1"]["high"]) if found else (None, None)
    return Mark(each.choice[0], 100 * each.served.strict_f1, low, high)


def _front_table(cheapest: Sequence[Priced]) -> Table:
    front = _front(cheapest)
    rows = []
    before: Priced | None = None
    for each in sorted(cheapest, key=lambda each: each.choice[0]):
        on_front = any(each is one for one in front)
        more = dollars_a_point(before.choice, each.choice) if before and on_front else None
        rows.append(
            (
                each.served.name,
                each.instance.name,
                "yes" if on_front else "no" if each.served.ranked else ABSENT,
                percent(each.served.strict_f1),
                dollars(each.choice[0]),
                f"{points_per_dollar(*reversed(each.choice)):,.3g}",
                dollars(more),
            )
        )
        before = each if on_front else before
    return Table(
        caption="F1 points bought, for a million abstracts on demand",
        header=("model", "on", "Pareto", "F1", "dollars", "points per dollar", "dollars a point more"),
        rows=tuple(rows),
        notes=(
            "Points per dollar: F1 over dollars. Dollars a point more: what each point beyond the next "
            "cheaper model of the front costs. Where intervals overlap, the order is not certain. A dash for "
            "Pareto: not equal work, or not the sentences that others tagged.",
        ),
        words=3,
        strong=frozenset(n for n, row in enumerate(rows) if row[2] == "yes"),
    )


def _machine_table(choices: Sequence[Priced]) -> Table:
    rows = tuple(
        (
            each.served.name,
            each.instance.name,
            each.instance.accelerator or f"{each.instance.vcpus} vCPUs",
            f"{each.cost.node_sentences_per_second:,.1f}",
            dollars(each.cost.per_1000_sentences),
            dollars(each.cost.per_1000_sentences_spot),
            dollars(each.cost.per_million_abstracts),
            dollars(each.cost.per_million_abstracts_spot),
        )
        for each in choices
    )
    return Table(
        caption="Measured seconds times price, by machine",
        header=(
            *("model", "machine", "device", "sentences/s", "1,000 sentences", "spot"),
            *("1M abstracts", "spot"),
        ),
        rows=rows,
        notes=("All figures are extrapolated from the throughput measured; machines are busy throughout.",),
        words=3,
    )


def _grounds(cheapest: Sequence[Priced]) -> Iterator[str]:
    """Yield what the dollars rest on: a paragraph for each model, and one on what is assumed for all."""
    assumed: tuple[str, ...] = ()
    for each in cheapest:
        text = basis(each.measurement, each.instance, _ASSUMPTIONS)
        assumed = text.assumed
        yield (
            f"{each.served.name}. Measured: {'; '.join(text.measured)}. "
            f"Extrapolated: {'; '.join(text.extrapolated)}."
        )
    yield f"Assumed throughout: {'; '.join(assumed)}."
