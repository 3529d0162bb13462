"""Nodes that come late, that break, and a head that takes no work."""

import re
import time
from pathlib import Path

import pytest
from fault_runs import Faults, check_equal, small_cluster, wait_until
from ray.autoscaler.v2.sdk import get_cluster_status

from raybio.bulk_tagging.nodes import MAX_LOADS

_SCALED_DOWN = 12.0
"""Seconds after which Ray Data takes back what a pool has asked for beyond its least size."""


def taggers_asked_for(address: str) -> float:
    """How many processes of one CPU wait for a node."""
    demands = get_cluster_status(address).resource_demands.ray_task_actor_demand
    shapes = [shape for demand in demands for shape in demand.bundles_by_count]
    return sum(shape.count for shape in shapes if shape.bundle.get("CPU") == 1)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drivers' nodes note what was done on them."""
    folder = tmp_path / "places"
    folder.mkdir()
    monkeypatch.setenv("RAYBIO_TEST_PLACES", str(folder))
    return folder


def test_a_pool_asks_for_all_its_nodes_at_once_and_works_where_it_can(
    faults: Faults, undisturbed: Path, tmp_path: Path, places: Path
) -> None:
    with small_cluster(cpus=0) as cluster:
        driver = faults.on(cluster.address).start(tmp_path / "out", taggers={"max_count": 3})
        assert wait_until(lambda: taggers_asked_for(cluster.address) == 3, driver)
        time.sleep(_SCALED_DOWN)
        assert taggers_asked_for(cluster.address) == 3
        broken = cluster.add_node(num_cpus=1, env_vars={"RAYBIO_TEST_BROKEN": "load"})
        sound = cluster.add_node(num_cpus=1)
        _, said = driver.communicate(timeout=240)
        head = cluster.head_node.node_id
    print(said)
    assert driver.returncode == 0
    check_equal(tmp_path / "out", undisturbed)
    read_on = {place.name for place in places.iterdir()}
    assert "refused" in read_on
    read_on.remove("refused")
    assert head not in read_on and read_on <= {broken.node_id, sound.node_id}


def test_a_node_whose_disk_is_full_is_left_for_others(
    faults: Faults, undisturbed: Path, tmp_path: Path, places: Path
) -> None:
    with small_cluster(cpus=0) as cluster:
        cluster.add_node(num_cpus=1, env_vars={"RAYBIO_TEST_BROKEN": "write"})
        cluster.add_node(num_cpus=1)
        driver = faults.on(cluster.address).start(tmp_path / "out", taggers={"count": 2})
        _, said = driver.communicate(timeout=240)
    print(said)
    assert driver.returncode == 0
    assert (places / "refused").exists()
    check_equal(tmp_path / "out", undisturbed)


@pytest.mark.usefixtures("places")
def test_a_job_ends_where_each_node_is_broken(faults: Faults, tmp_path: Path) -> None:
    with small_cluster(cpus=0) as cluster:
        for _ in range(2):
            cluster.add_node(num_cpus=1, env_vars={"RAYBIO_TEST_BROKEN": "load"})
        driver = faults.on(cluster.address).start(tmp_path / "out", taggers={"count": 2})
        _, said = driver.communicate(timeout=240)
    assert driver.returncode == 1
    assert "no tagger works on any of 2 nodes" in said and "No space left on device" in said


def test_a_job_ends_where_taggers_die_of_loading(faults: Faults, tmp_path: Path) -> None:
    with small_cluster(cpus=0) as cluster:
        cluster.add_node(num_cpus=1, env_vars={"RAYBIO_TEST_BROKEN": "die"})
        driver = faults.on(cluster.address).start(tmp_path / "out", taggers={"count": 1})
        _, said = driver.communicate(timeout=240)
    print(said)
    assert driver.returncode == 1
    assert f"a tagger's process died {MAX_LOADS} times" in said
    assert len([line for line in said.splitlines() if re.search(r"process \d+ died on", line)]) == 1
