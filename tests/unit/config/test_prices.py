"""The price list that comes with raybio, and how one with faults is refused."""

from datetime import date

import pytest

from raybio.config.prices import load_prices, shipped_prices
from raybio.errors import ConfigError

ENTRY = """
  - name: {name}
    accelerator: null
    gpus: 0
    vcpus: 8
    on_demand: 0.5
    spot: null
    date: "2026-01-31"
    source: a page
"""


def test_the_shipped_list_has_a_day_and_source_for_every_price():
    machines = load_prices(shipped_prices())
    assert {bool(machine.gpus) for machine in machines} == {True, False}
    for machine in machines:
        assert date.fromisoformat(machine.date) and machine.source
        assert machine.spot is None or machine.spot < machine.on_demand


def test_every_fault_is_reported_at_once_with_its_line(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(
        "region: here\ninstances:"
        + ENTRY.format(name="a").replace("0.5", "-1").replace("01-31", "02-31")
        + ENTRY.format(name="b").replace("vcpus", "vcpu").replace("accelerator: null", "accelerator: L4")
        + ENTRY.format(name="a")
        + "  - just words\n"
    )
    with pytest.raises(ConfigError) as refused:
        load_prices(path)
    said = "\n".join(refused.value.faults)
    for fault in (
        "line 1: region: unknown key",
        "line 7: instances[0].on_demand: found -1; allowed: number, more than 0",
        "line 9: instances[0].date: found '2026-02-31'; allowed: a day such as '2026-11-22'",
        "line 15: instances[1].vcpu: unknown key; did you mean 'vcpus'?",
        "instances[1].vcpus: missing; virtual CPUs in it",
        "line 21: instances[2].name: found 'a' again",
        "instances[3]: found 'just words'",
    ):
        assert fault in said
    assert len(refused.value.faults) == 7


@pytest.mark.parametrize("change", [("gpus: 0", "gpus: 2"), ("accelerator: null", "accelerator: L4")])
def test_gpus_and_their_kind_go_together(tmp_path, change):
    path = tmp_path / "prices.yaml"
    path.write_text("instances:" + ENTRY.format(name="a").replace(*change))
    with pytest.raises(ConfigError, match="GPUs and their kind go together"):
        load_prices(path)


@pytest.mark.parametrize("text", ["", "instances: []\n", "instances: all\n", "- a\n"])
def test_a_list_of_nothing_is_refused(tmp_path, text):
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="allowed: a list of machines"):
        load_prices(path)
    with pytest.raises(ConfigError, match="no such file"):
        load_prices(tmp_path / "nothere.yaml")
