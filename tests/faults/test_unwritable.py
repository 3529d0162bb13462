"""The output cannot be written, in the middle of a job: a clear end, and a second run that resumes."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_runs import Faults, check_equal, committed, wait_until

from raybio.errors import CommitError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, 100 KiB, where this machine lets us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if _mount("-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)):
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


def test_a_full_disk_ends_the_job_and_loses_nothing(faults: Faults, undisturbed: Path, disk: Path) -> None:
    output = disk / "out"
    driver = faults.start(output)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == CommitError.exit_code
    assert "cannot be written (No space left on device)" in said and "run the same command again" in said
    assert committed(output) > 0
    assert _mount("-o", "remount,size=10m", str(disk)) == 0
    assert faults.run(output) == 0
    check_equal(output, undisturbed)


def test_an_output_made_read_only_ends_the_job_and_loses_nothing(
    faults: Faults, undisturbed: Path, disk: Path
) -> None:
    output = disk / "out"
    assert _mount("-o", "remount,size=10m", str(disk)) == 0
    driver = faults.start(output, seconds=0.03)
    assert wait_until(lambda: committed(output) >= 2, driver)
    # Refused while a file is open for writing, so for moments only.
    wait_until(lambda: _mount("-o", "remount,ro", str(disk)) == 0, driver)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == CommitError.exit_code
    assert "cannot be written (Read-only file system" in said
    assert _mount("-o", "remount,rw", str(disk)) == 0
    assert faults.run(output) == 0
    check_equal(output, undisturbed)
