import shutil
from types import SimpleNamespace

import psutil
import pytest

from raybio.errors import TrainingError
from raybio.training.memory import Memory, Sizes
from raybio.training.preflight import Preflight
from raybio.training.rehearsal_room import check_room

GIB = 2**30
NEEDED = Preflight(Sizes(GIB // 32, 0, 0), Memory(3 * GIB, 0, GIB, 2 * GIB, 0, 0), None)


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many GiB of free memory and disk."""

    def has(memory, disk):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=memory * GIB))
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=disk * GIB))

    return has


def test_room_enough(machine, tmp_path):
    machine(memory=6, disk=3)
    check_room(NEEDED, tmp_path, gpu=False, weight_bytes=2 * GIB)


def test_missing_memory_is_one_line_with_what_is_missing(machine, tmp_path):
    machine(memory=4, disk=100)
    with pytest.raises(
        TrainingError, match=r"about 6.00 GiB, and 4.00 GiB are free here; 2.00 GiB are missing"
    ) as e:
        check_room(NEEDED, tmp_path, gpu=False, weight_bytes=0)
    assert "\n" not in str(e.value)


def test_missing_disk_counts_weights_and_checkpoints(machine, tmp_path):
    machine(memory=100, disk=2)
    with pytest.raises(TrainingError, match=r"about 3.00 GiB, and 2.00 GiB are free; 1.00 GiB are missing"):
        check_room(NEEDED, tmp_path, gpu=False, weight_bytes=2 * GIB)
