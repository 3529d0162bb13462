"""Drivers and workers are killed: what a later run leaves is what an undisturbed one would have left."""

import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from fault_runs import (
    SHARDS,
    Faults,
    check_equal,
    committed,
    entries,
    kill,
    small_cluster,
    wait_until,
    wasted,
    workers,
)

from raybio.bulk_tagging.stages import SHARDS_AT_A_TIME
from raybio.errors import CommitError

_TAGGERS = 2


def kill_drivers(faults: Faults, output: Path, rounds: int, seed: int) -> int:
    """Kill a driver in each round, at a random moment of its work; return how many there were."""
    chance = random.Random(seed)
    kills = 0
    for _ in range(rounds):
        started = time.time()
        driver = faults.start(output, seconds=0.02, taggers={"count": _TAGGERS})
        wait_until(lambda since=started: has_begun(output, since), driver)
        time.sleep(chance.uniform(0, 0.6))
        kills += driver.poll() is None
        kill(driver)
        if committed(output) == SHARDS:
            break
    return kills


def has_begun(output: Path, since: float) -> bool:
    """Say whether a shard was begun since a Unix time."""
    try:
        return any(mark.stat().st_mtime > since for mark in output.rglob("*.begun"))
    except FileNotFoundError:
        return False  # its file was finished in this moment


def check_killed(faults: Faults, output: Path, undisturbed: Path, rounds: int, seed: int) -> None:
    kills = kill_drivers(faults, output, rounds, seed)
    assert kills > 0
    assert faults.run(output, taggers={"count": _TAGGERS}) == 0
    check_equal(output, undisturbed)
    assert committed(output) == SHARDS
    assert 0 < wasted(output) <= kills * _TAGGERS * SHARDS_AT_A_TIME


def test_killed_drivers_lose_and_double_nothing(faults: Faults, undisturbed: Path, tmp_path: Path) -> None:
    check_killed(faults, tmp_path / "out", undisturbed, rounds=2, seed=0)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_twenty_killed_drivers_lose_and_double_nothing(
    faults: Faults, undisturbed: Path, tmp_path: Path
) -> None:
    """Twenty kills: as many outputs as it takes, since each kill comes after some progress."""
    kills = 0
    while kills < 20:
        output = tmp_path / f"out{kills}"
        fresh = kill_drivers(faults, output, 20 - kills, seed=kills)
        assert fresh > 0
        kills += fresh
        assert faults.run(output, taggers={"count": _TAGGERS}) == 0
        check_equal(output, undisturbed)
        assert wasted(output) <= fresh * _TAGGERS * SHARDS_AT_A_TIME


def asked_to_end(node: Any) -> None:
    """Send SIGTERM to all processes of a node at once, as a machine that shuts down does."""
    started = [process.process for of_kind in node.all_processes.values() for process in of_kind]
    processes = [psutil.Process(process.pid) for process in started]
    for process in [*processes, *(child for each in processes for child in each.children(recursive=True))]:
        with suppress(psutil.NoSuchProcess):
            process.terminate()


def test_a_killed_worker_is_replaced(faults: Faults, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    driver = faults.start(output, seconds=0.03)
    assert wait_until(lambda: committed(output) >= 2 and bool(workers()), driver)
    [worker] = workers()
    worker.kill()
    assert driver.wait(timeout=120) == 0
    check_equal(output, undisturbed)
    assert wasted(output) <= SHARDS_AT_A_TIME


def test_two_drivers_at_once_both_stay_correct(faults: Faults, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    drivers = [faults.start(output, seconds=0.01) for _ in range(2)]
    assert [driver.wait(timeout=120) for driver in drivers] == [0, 0]
    check_equal(output, undisturbed)


def test_two_drivers_of_different_configs_are_not_mixed(faults: Faults, tmp_path: Path) -> None:
    output = tmp_path / "out"
    first = faults.start(output)
    second = faults.start(output, skip_passages=("abstract",))
    codes = sorted([first.wait(timeout=120), second.wait(timeout=120)])
    assert codes == [0, CommitError.exit_code]
    assert len(entries(output)) == SHARDS


@pytest.mark.parametrize("notice", [False, True], ids=["killed", "with SIGTERM first"])
def test_a_node_that_goes_loses_and_doubles_nothing(
    faults: Faults, undisturbed: Path, tmp_path: Path, notice: bool
) -> None:
    """The tagger's whole machine goes, as a spot machine does, and another one comes."""
    with small_cluster(cpus=0) as cluster:
        node = cluster.add_node(num_cpus=1)
        output = tmp_path / "out"
        driver = faults.on(cluster.address).start(output, seconds=0.03)
        assert wait_until(lambda: committed(output) >= 2, driver)
        if notice:
            asked_to_end(node)
        cluster.remove_node(node, allow_graceful=notice)
        cluster.add_node(num_cpus=1)
        _, said = driver.communicate(timeout=240)
        print(said)
        assert driver.returncode == 0
        check_equal(output, undisturbed)
        assert wasted(output) <= SHARDS_AT_A_TIME
