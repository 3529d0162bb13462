"""What tagging costs: measured seconds times the price of a machine, and a plan for a whole corpus.

Only throughput is measured, on one machine. The step to a machine of a price list and to many of them is
an extrapolation, and the make-up of the corpus an assumption; each figure's `Basis` tells the three apart.

    rate of a node  = measured sentences/s x (its GPUs / GPUs measured) x efficiency
                      or, without GPUs,     x (its vCPUs / CPUs measured) x efficiency
    dollars         = sentences / rate of a node / 3600 x dollars an hour on demand, or spot
    nodes           = hours on one node / (deadline - start-up), rounded up
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from raybio.config.prices import InstancePrice
from raybio.errors import UsageError

TITLE_SENTENCES = 1.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A throughput as measured: `name` is the model (and corpus), `how` says what was run.

    `cpus` are what all replicas together had, and `gpus` the whole GPUs that they were on; with GPUs the
    CPUs do not count. `accelerator` is the kind of those GPUs as their driver names it, None where nobody
    noted it.
    `efficiency` is throughput with the most replicas measured over that of one times their number,
    None where only one was measured. `strict_f1` is a fraction.
    """

    name: str
    how: str
    sentences_per_second: float
    cpus: float
    gpus: int
    efficiency: float | None = None
    strict_f1: float | None = None
    accelerator: str | None = None


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is taken for granted about the corpus and the cluster; every one can be replaced.

    `without_abstract`: of all PubMed citations about a quarter have a title only.
    `sentences_per_abstract`: 10,379 sentences in 1,000 abstracts (Kim et al., BMC Bioinformatics 2011,
    12(Suppl 2):S5, Table 2). `efficiency`: None takes what was measured, else 1.
    `startup_minutes`: what a node is paid for before it tags.
    """

    without_abstract: float = 0.25
    sentences_per_abstract: float = 10.4
    efficiency: float | None = None
    startup_minutes: float = 10.0

    def __post_init__(self) -> None:
        checks = [
            (0 <= self.without_abstract <= 1, "the share without abstract lies between 0 and 1"),
            (self.sentences_per_abstract > 0, "an abstract has more than 0 sentences"),
            (
                self.efficiency is None or 0 < self.efficiency <= 1,
                "efficiency lies above 0, and is 1 at most",
            ),
            (self.startup_minutes >= 0, "a node takes 0 or more minutes to start"),
        ]
        faults = [problem for holds, problem in checks if not holds]
        if faults:
            raise UsageError("; ".join(faults))

    @property
    def sentences_per_full_citation(self) -> float:
        """Sentences of a citation with abstract, its title among them."""
        return TITLE_SENTENCES + self.sentences_per_abstract

    @property
    def sentences_per_citation(self) -> float:
        """Sentences of the average citation."""
        return TITLE_SENTENCES + (1 - self.without_abstract) * self.sentences_per_abstract


@dataclass(frozen=True, slots=True)
class Basis:
    """What a figure rests on, a sentence each."""

    measured: tuple[str, ...]
    extrapolated: tuple[str, ...]
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnitCost:
    """Dollars for a round number of sentences and of abstracts (with their titles) on one kind of machine.

    Machines are busy throughout; start-up is left out. Spot is None where its price is not known.
    """

    instance: str
    node_sentences_per_second: float
    per_1000_sentences: float
    per_1000_sentences_spot: float | None
    per_million_abstracts: float
    per_million_abstracts_spot: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How to tag a corpus before a deadline: `hours` is wall time, start-up included."""

    model: str
    instance: str
    citations: int
    sentences: int
    nodes: int
    hours: float
    on_demand: float
    spot: float | None
    unit: UnitCost
    basis: Basis

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name, nested ones as dictionaries."""
        return asdict(self)


def whole_gpus(replicas: int, gpus: float) -> int:
    """Return on how many GPUs Ray puts so many replicas with `gpus` each; one has no part in two GPUs.

    What is left free of a GPU counts: a replica that has it to itself computes with all of it.
    """
    if not gpus:
        return 0
    # Rounded first: 1 / 0.1 and its kind may fall short of the whole number.
    return math.ceil(replicas * gpus if gpus > 1 else replicas / math.floor(round(1 / gpus, 9)))


def fits(measurement: Measurement, instance: InstancePrice) -> bool:
    """Say whether `instance` has the kind of device that was measured, and no other that would idle.

    A GPU of another kind is another speed: dollars of an L4 do not follow from seconds of an H100.
    """
    if not measurement.gpus or not instance.gpus:
        return bool(measurement.gpus) == bool(instance.gpus)
    if measurement.accelerator is None:
        return True
    return _words(instance.accelerator or "") <= _words(measurement.accelerator)


def unit_cost(measurement: Measurement, instance: InstancePrice, assumptions: Assumptions) -> UnitCost:
    """Return what tagging costs on `instance`.

    Raises:
        UsageError: a GPU was measured and `instance` has none, or nothing was measured.
    """
    rate = _node_rate(measurement, instance, assumptions)
    abstracts = 1_000_000 * assumptions.sentences_per_full_citation
    sentences, sentences_spot = rent(instance, 1000 / rate / 3600)
    return UnitCost(instance.name, rate, sentences, sentences_spot, *rent(instance, abstracts / rate / 3600))


def rent(instance: InstancePrice, hours: float) -> tuple[float, float | None]:
    """Return the dollars of so many hours on demand, and at the spot price where that is known."""
    return hours * instance.on_demand, None if instance.spot is None else hours * instance.spot


def share_dollars(instance: InstancePrice, gpus: float, cpus: float, hours: float) -> float | None:
    """Return the dollars on demand of a share of the machine: by its GPUs, or where it has none its CPUs.

    None where it has GPUs and the work none, or the other way round.
    """
    if bool(gpus) != bool(instance.gpus):
        return None
    share = gpus / instance.gpus if gpus else cpus / instance.vcpus
    return rent(instance, share * hours)[0]


def cheapest_at_least(measurement: Measurement, instances: Iterable[InstancePrice]) -> InstancePrice | None:
    """Return the cheapest machine that has what was measured, or more of it; None where there is none."""
    able = [
        instance
        for instance in instances
        if fits(measurement, instance)
        and instance.gpus >= measurement.gpus
        and instance.vcpus >= measurement.cpus
    ]
    return min(able, key=lambda instance: instance.on_demand, default=None)


def plan(
    measurement: Measurement,
    instance: InstancePrice,
    citations: int,
    deadline_hours: float,
    assumptions: Assumptions,
) -> Plan:
    """Return the fewest machines that tag `citations` in time, and what they cost.

    Raises:
        UsageError: as `unit_cost` has it; or the deadline is over before a node has started.
    """
    startup = assumptions.startup_minutes / 60
    if deadline_hours <= startup:
        raise UsageError(
            f"a deadline of {deadline_hours:g} h leaves nothing after a start-up of "
            f"{assumptions.startup_minutes:g} minutes. Allow more time, or assume a shorter start-up"
        )
    unit = unit_cost(measurement, instance, assumptions)
    sentences = citations * assumptions.sentences_per_citation
    alone = sentences / unit.node_sentences_per_second / 3600
    # Rounded first: the 16th digit should not cost one more node.
    nodes = max(1, math.ceil(round(alone / (deadline_hours - startup), 9)))
    hours = startup + alone / nodes
    on_demand, spot = rent(instance, nodes * hours)
    return Plan(
        model=measurement.name,
        instance=instance.name,
        citations=citations,
        sentences=round(sentences),
        nodes=nodes,
        hours=hours,
        on_demand=on_demand,
        spot=spot,
        unit=unit,
        basis=basis(measurement, instance, assumptions, nodes),
    )


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Several plans for the same citations on one kind of machine, carried out at the same time."""

    nodes: int
    hours: float
    on_demand: float
    spot: float | None

    @classmethod
    def of(cls, plans: Sequence[Plan]) -> SideBySide:
        """Return what they are together."""
        spot = [each.spot for each in plans]
        return cls(
            sum(each.nodes for each in plans),
            max(each.hours for each in plans),
            sum(each.on_demand for each in plans),
            None if None in spot else sum(amount or 0.0 for amount in spot),
        )


def basis(
    measurement: Measurement, instance: InstancePrice, assumptions: Assumptions, nodes: int | None = None
) -> Basis:
    """Say what a plan of so many nodes rests on, or without `nodes` what the unit costs do."""
    gpu = measurement.accelerator or "GPU (which kind was not noted)"
    used, owner = (measurement.gpus, gpu) if measurement.gpus else (measurement.cpus, "CPU")
    had, unit = (instance.gpus, instance.accelerator) if measurement.gpus else (instance.vcpus, "vCPU")
    efficiency, origin = _efficiency(measurement, assumptions)
    extrapolated = [
        f"{instance.name}: from {used:g} x {owner} to {had} x {unit}, each taken to be as fast as the one "
        f"measured; efficiency {efficiency:.2f}, {origin}"
    ]
    if nodes and nodes > 1:
        extrapolated.append("from 1 node to several: nodes share nothing, so their throughput adds up")
    if instance.spot is not None:
        extrapolated.append("spot: no work is lost to interruptions (a shard in flight would be done again)")
    return Basis(
        measured=(f"{measurement.sentences_per_second:,.2f} sentences/s: {measurement.how}",),
        extrapolated=tuple(extrapolated),
        assumed=tuple(_assumed(assumptions, of_a_plan=nodes is not None)),
    )


def dollars(amount: float | None) -> str:
    """Return an amount to print: whole dollars from 100, three digits below 1, a dash where unknown."""
    if amount is None:
        return "–"
    if amount >= 100:
        return f"${amount:,.0f}"
    decimals = 2 if amount >= 1 or amount <= 0 else 2 - math.floor(math.log10(amount))
    return f"${amount:.{decimals}f}"


def points_per_dollar(strict_f1: float, dollars: float) -> float:
    """Return points of F1 (`strict_f1` is a fraction) for each dollar."""
    return 100 * strict_f1 / dollars


def dollars_a_point(cheaper: tuple[float, float], better: tuple[float, float]) -> float | None:
    """Return the dollars of each point of F1 that `better` has more; both are (dollars, F1 as a fraction).

    None where it has none.
    """
    points = 100 * (better[1] - cheaper[1])
    return (better[0] - cheaper[0]) / points if points > 0 else None


def pareto_front(choices: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the (dollars, F1) that no other beats, cheapest first.

    One is beaten by another that costs no more and scores higher, or scores no less and costs less.
    """
    order = sorted(range(len(choices)), key=lambda i: (choices[i][0], -choices[i][1]))
    front: list[int] = []
    for index in order:
        if not front or choices[index][1] > choices[front[-1]][1] or choices[index] == choices[front[-1]]:
            front.append(index)
    return front


def _assumed(assumptions: Assumptions, of_a_plan: bool) -> Iterator[str]:
    if of_a_plan:
        yield f"{assumptions.without_abstract:.0%} of citations have no abstract, only a title of 1 sentence"
    yield (
        f"an abstract has {assumptions.sentences_per_abstract:g} sentences besides its title, "
        "as long as those measured"
    )
    if of_a_plan:
        yield (
            f"all nodes start at once, each in {assumptions.startup_minutes:g} minutes, and are paid for "
            "by the second"
        )


def _words(accelerator: str) -> set[str]:
    """Return {"A100", "40GB"} for "A100 40 GB", and more for "NVIDIA A100-SXM4-40GB"."""
    return set(re.split(r"[ -]", re.sub(r"(\d) GB", r"\1GB", accelerator)))


def _node_rate(measurement: Measurement, instance: InstancePrice, assumptions: Assumptions) -> float:
    if measurement.sentences_per_second <= 0 or (measurement.cpus <= 0 and measurement.gpus <= 0):
        raise UsageError(f"{measurement.name}: no throughput was measured, so no cost can be estimated")
    if measurement.gpus and not instance.gpus:
        raise UsageError(
            f"{measurement.name} was measured on a GPU, and {instance.name} has none. "
            "Name an instance with a GPU"
        )
    share = instance.gpus / measurement.gpus if measurement.gpus else instance.vcpus / measurement.cpus
    efficiency, _ = _efficiency(measurement, assumptions)
    return measurement.sentences_per_second * share * (efficiency if share > 1 else 1.0)


def _efficiency(measurement: Measurement, assumptions: Assumptions) -> tuple[float, str]:
    if assumptions.efficiency is not None:
        return assumptions.efficiency, "as asked for"
    if measurement.efficiency is not None:
        return min(1.0, measurement.efficiency), "as measured with more replicas"
    return 1.0, "assumed: more replicas were not measured"
