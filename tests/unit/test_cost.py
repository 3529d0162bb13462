"""Cost: worked by hand, then properties; what does not follow is refused."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybio.cost import (
    Assumptions,
    Measurement,
    basis,
    dollars,
    fits,
    pareto_front,
    plan,
    points_per_dollar,
    unit_cost,
    whole_gpus,
)
from raybio.errors import UsageError


@dataclass(frozen=True)
class Machine:
    name: str = "m"
    accelerator: str | None = None
    gpus: int = 0
    vcpus: int = 8
    on_demand: float = 3.6
    spot: float | None = 1.2


GPU = Machine("g", "L4", gpus=4)
ON_CPU = Measurement("minilm", "offline", sentences_per_second=10.0, cpus=2, gpus=0)
ON_GPU = Measurement("llama", "offline", sentences_per_second=10.0, cpus=8, gpus=1)
PLAIN = Assumptions(without_abstract=0.5, sentences_per_abstract=9, efficiency=1, startup_minutes=30)


def test_unit_costs_by_hand():
    found = unit_cost(ON_CPU, Machine(), PLAIN)  # 8 vCPUs for 2: 40 sentences/s, at $0.001 a second
    assert found.node_sentences_per_second == pytest.approx(40)
    assert found.per_1000_sentences == pytest.approx(1000 / 40 * 0.001)
    assert found.per_million_abstracts == pytest.approx(10 * 1e6 / 40 * 0.001)
    assert found.per_million_abstracts_spot == pytest.approx(found.per_million_abstracts / 3)
    assert unit_cost(ON_CPU, Machine(spot=None), PLAIN).per_1000_sentences_spot is None


def test_gpus_are_what_counts_where_there_are_any():
    assert unit_cost(ON_GPU, GPU, PLAIN).node_sentences_per_second == pytest.approx(40)


@pytest.mark.parametrize(
    ("replicas", "gpus", "whole"),
    [(1, 0.0, 0), (1, 0.25, 1), (4, 0.25, 1), (5, 0.25, 2), (10, 0.1, 1), (3, 0.4, 2), (5, 0.4, 3),
     (3, 0.7, 3), (3, 1.0, 3), (2, 2.0, 4)],
)  # fmt: skip
def test_a_part_of_a_gpu_that_nobody_else_had_is_the_whole(replicas, gpus, whole):
    assert whole_gpus(replicas, gpus) == whole


@pytest.mark.parametrize(
    ("measured", "machines"),
    [
        ("NVIDIA H100 80GB HBM3", {"H100"}),
        ("NVIDIA A100-SXM4-40GB", {"A100 40 GB"}),
        ("NVIDIA A100 80GB PCIe", set()),
        ("NVIDIA L4", {"L4"}),
        ("NVIDIA L40S", {"L40S"}),
        ("NVIDIA H200", set()),
        (None, {"H100", "A100 40 GB", "L4", "L40S"}),
    ],
)
def test_a_gpu_of_another_kind_is_another_speed(measured, machines):
    found = replace(ON_GPU, accelerator=measured)
    kinds = {"H100", "A100 40 GB", "L4", "L40S"}
    assert {kind for kind in kinds if fits(found, Machine("g", kind, gpus=1))} == machines
    assert not fits(found, Machine())
    (first, *_) = basis(found, GPU, PLAIN).extrapolated
    assert f"from 1 x {measured or 'GPU (which kind was not noted)'} to 4 x L4" in first


def test_a_plan_by_hand():
    # 1,000,000 citations of 1 + 0.5 x 9 sentences, 40 a second: 38.19 h on one node; 7.5 h are left.
    found = plan(ON_CPU, Machine(), 1_000_000, deadline_hours=8, assumptions=PLAIN)
    assert (found.sentences, found.nodes) == (5_500_000, 6)
    assert found.hours == pytest.approx(0.5 + 5_500_000 / 40 / 3600 / 6)
    assert found.on_demand == pytest.approx(6 * found.hours * 3.6)
    assert found.spot == pytest.approx(6 * found.hours * 1.2)
    assert found.to_dict()["unit"]["instance"] == "m"


@settings(deadline=None)
@given(
    rate=st.floats(0.01, 1e4),
    citations=st.integers(1, 10**9),
    hours=st.floats(0.6, 1000),
    share=st.floats(0, 1),
)
def test_a_plan_keeps_its_deadline_with_as_few_nodes_as_can(rate, citations, hours, share):
    measured = Measurement("m", "h", rate, cpus=1, gpus=0)
    assumptions = Assumptions(without_abstract=share, startup_minutes=30)
    found = plan(measured, Machine(), citations, hours, assumptions)
    assert found.hours <= hours * (1 + 1e-6)
    if found.nodes > 1:
        work = (found.hours - 0.5) * found.nodes
        assert 0.5 + work / (found.nodes - 1) > hours * (1 - 1e-6)


def test_efficiency_is_that_asked_for_else_measured_else_assumed_and_said():
    measured = Measurement("m", "h", 10.0, cpus=2, gpus=0, efficiency=0.9)
    cases = [
        (ON_CPU, None, 40, "assumed"),
        (measured, None, 36, "as measured"),
        (measured, 0.5, 20, "as asked for"),
    ]
    for measurement, efficiency, rate, origin in cases:
        assumptions = Assumptions(efficiency=efficiency)
        assert unit_cost(measurement, Machine(), assumptions).node_sentences_per_second == pytest.approx(rate)
        assert origin in basis(measurement, Machine(), assumptions).extrapolated[0]
    one = Machine(vcpus=2)
    assert unit_cost(measured, one, Assumptions()).node_sentences_per_second == 10  # as many CPUs as measured


def test_every_plan_keeps_measured_extrapolated_and_assumed_apart():
    found = plan(ON_CPU, Machine(), 10**8, 8, PLAIN).basis
    assert found.measured == ("10.00 sentences/s: offline",)
    assert "m: from 2 x CPU to 8 x vCPU" in found.extrapolated[0]
    assert any("from 1 node to several" in line for line in found.extrapolated)
    assert any("spot" in line for line in found.extrapolated)
    assert [line for line in found.assumed if line.startswith("50% of citations have no abstract")]
    assert not any("spot" in line for line in basis(ON_CPU, Machine(spot=None), PLAIN).extrapolated)


def test_what_does_not_follow_is_refused():
    assert fits(ON_CPU, Machine()) and fits(ON_GPU, GPU)
    assert not fits(ON_CPU, GPU) and not fits(ON_GPU, Machine())
    with pytest.raises(UsageError, match="llama was measured on a GPU, and m has none"):
        unit_cost(ON_GPU, Machine(), PLAIN)
    with pytest.raises(UsageError, match="no throughput"):
        unit_cost(Measurement("m", "h", 0.0, 1, 0), Machine(), PLAIN)
    with pytest.raises(UsageError, match="leaves nothing after a start-up of 30 minutes"):
        plan(ON_CPU, Machine(), 1, 0.5, PLAIN)
    with pytest.raises(UsageError, match=r"between 0 and 1; .* more than 0 sentences; efficiency .*; a node"):
        Assumptions(without_abstract=2, sentences_per_abstract=0, efficiency=0, startup_minutes=-1)


def test_points_per_dollar_and_the_front():
    assert points_per_dollar(0.8, 4.0) == pytest.approx(20)
    assert pareto_front([(1, 0.8), (2, 0.7), (3, 0.9), (3, 0.85), (0.5, 0.8)]) == [4, 2]
    assert pareto_front([]) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0, 1)), max_size=12))
def test_nobody_beats_the_front_and_the_front_beats_all_others(choices):
    front = [choices[index] for index in pareto_front(choices)]

    def beats(one, other):
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    for choice in choices:
        assert any(beats(one, choice) for one in front) is (choice not in front)


@pytest.mark.parametrize(
    ("amount", "reported"),
    [(None, "–"), (15318.6, "$15,319"), (12.136, "$12.14"), (0.662, "$0.662"), (0.0000872, "$0.0000872")],
)
def test_dollars_are_reported_in_digits_that_count(amount, reported):
    assert dollars(amount) == reported
