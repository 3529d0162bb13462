from dataclasses import replace

import pytest

from raybio.cli.rehearsal import rehearsal_lines
from raybio.config.prices import load_prices, shipped_prices
from raybio.training.memory import Memory, Sizes
from raybio.training.preflight import CorpusFigures, Preflight
from raybio.training.rehearsal import Rehearsal
from raybio.training.steps import Passes

GIB = 2**30
PRICES = load_prices(shipped_prices())
PREFLIGHT = Preflight(
    Sizes(1000, 0, 0), Memory(4 * GIB, 0, 0, 0, 0, 0), CorpusFigures(32, passes=Passes(2, 600, 16, 40))
)
FOUND = Rehearsal(
    rehearsed=PREFLIGHT,
    whole=PREFLIGHT,
    steps=2,
    step_seconds=3.5,
    training_bytes=5 * GIB,
    tagging_bytes=GIB,
    training_hours=10.0,
    cpus=2,
    gpus=0,
    accelerator=None,
    changes=("random weights",),
    words=("Naloxone", "works"),
    tags=("B-Chemical", "O"),
)


def reported(found, runs=1):
    return "\n".join(rehearsal_lines(found, runs, PRICES))


def test_what_was_measured_stands_beside_the_estimate():
    text = reported(FOUND)
    assert "2 steps of 300 tokens" in text
    assert "not as configured: random weights" in text
    assert "4.00 GiB" in text
    assert "5.00 GiB (+25%)" in text
    assert "seconds per step: 3.50" in text
    assert "Naloxone/B-Chemical works/O" in text


def test_hours_and_dollars_are_of_the_cheapest_machine_with_the_device_measured():
    assert "all epochs, scoring left out: 10.0\n" in reported(FOUND)
    assert "on a c7i.2xlarge, were it as fast as this machine: $3.57" in reported(FOUND)
    assert "120.0 for the sweep of 12" in reported(FOUND, runs=12)
    assert "$42.84" in reported(FOUND, runs=12)
    gpu = replace(FOUND, gpus=1, accelerator="NVIDIA L4")
    assert "on a g6.xlarge" in reported(gpu)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (replace(FOUND, gpus=1, accelerator="NVIDIA H200"), "no machine with the device"),
        (replace(FOUND, training_hours=None), "not known without its corpus"),
    ],
)
def test_what_is_not_known_is_said(found, line):
    assert line in reported(found)
