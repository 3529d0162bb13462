"""Launches that the cloud refuses, and machines that take time to boot, with Ray's own autoscaler."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_cloud import NO_CAPACITY, launches, node_type
from fault_runs import Faults, check_whole
from ray_head import Head, ray_head

NO_QUOTA = "VcpuLimitExceeded: you have requested more vCPU capacity than your limit of 0"
BOOT_SECONDS = 6
BOOTED_CPUS = 3
"""More than the head has."""


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    types = {
        "spot": node_type(4, 1, {"refused": NO_CAPACITY}, CPU=1, GPU=1),
        "on_demand": node_type(4, CPU=1, GPU=1, on_demand_GPU=1),
        "without_quota": node_type(4, 1, {"refused": NO_QUOTA}, CPU=1, GPU=2),
        "slow": node_type(8, 0, {"boot_s": BOOT_SECONDS}, CPU=BOOTED_CPUS),
    }
    with ray_head(types) as started:
        yield started


@pytest.fixture(scope="module")
def drivers(head: Head, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    """What starts drivers that say every two seconds what they wait for."""
    own = {name: value for name, value in head.environment.items() if name.startswith(("RAY_", "NO_PROXY"))}
    # So Ray takes the loopback address for what it is.
    own |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAYBIO_TEST_SAID_SECONDS": "2"}
    drivers = Faults(head.gcs, tmp_path_factory.mktemp("launches"), **own)
    yield drivers
    drivers.close()


def test_on_demand_nodes_stand_in_for_spot_nodes_that_are_refused(
    drivers: Faults, head: Head, tmp_path: Path
) -> None:
    taggers = {"gpus": 1, "max_count": 2, "spot_timeout_s": 4}
    driver = drivers.start(tmp_path / "out", taggers=taggers)
    _, said = driver.communicate(timeout=240)
    print(said)
    assert driver.returncode == 0
    check_whole(tmp_path / "out")
    assert "nodes that have on_demand_GPU are asked for too" in said
    assert "spot could not be started" in said and NO_CAPACITY in said
    # As many as there are taggers, and no more.
    assert Counter(launches(head.folder, "on_demand")) == {"asked": 2, "up": 2}


def test_a_job_that_gets_no_node_says_why_and_ends_with_it(drivers: Faults, tmp_path: Path) -> None:
    taggers = {"gpus": 2, "max_count": 1, "start_timeout_s": 10}
    driver = drivers.start(tmp_path / "out", taggers=taggers)
    _, said = driver.communicate(timeout=240)
    print(said)
    assert driver.returncode == 1
    lines = said.splitlines()
    waits = [line for line in lines if line.startswith("waiting for 1 x 1 CPU and 2 GPU")]
    [end] = [line for line in lines if line.startswith("nothing started in 10 s (start_timeout_s)")]
    assert any(NO_QUOTA in line for line in waits) and NO_QUOTA in end


@pytest.mark.parametrize("count", [3, pytest.param(8, marks=pytest.mark.soak)])
def test_all_nodes_boot_at_the_same_time(drivers: Faults, head: Head, tmp_path: Path, count: int) -> None:
    before = len(launches(head.folder, "slow"))
    driver = drivers.start(tmp_path / "out", taggers={"cpus": BOOTED_CPUS, "max_count": count})
    _, said = driver.communicate(timeout=480)
    print(said)
    assert driver.returncode == 0
    check_whole(tmp_path / "out")
    assert launches(head.folder, "slow")[before:][: count + 1] == ["asked"] * count + ["up"]
