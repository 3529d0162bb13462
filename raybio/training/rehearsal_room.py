"""Whether this machine has the memory and the disk that a rehearsal takes: seen before anything is built."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psutil

from raybio.errors import TrainingError
from raybio.training.preflight import Preflight, gib

_STATE_BYTES = 16  # of what learns: fp32 weights, two moments, and a copy, as a checkpoint has them
_CHECKPOINTS = 2  # as the worker writes it, and where the run keeps it


def check_room(needed: Preflight, folder: Path, gpu: bool, weight_bytes: int) -> None:
    """Refuse a rehearsal that does not fit; `weight_bytes` is the size of the model to write, 0 for none.

    Raises:
        TrainingError: says how much memory, or disk, is missing.
    """
    memory = needed.memory.total
    free = _free_gpu() if gpu else psutil.virtual_memory().available
    if memory > free:
        where = "on the GPU" if gpu else "here"
        raise TrainingError(
            f"not enough memory for a rehearsal: it needs about {gib(memory)}, and {gib(free)} are free "
            f"{where}; {gib(memory - free)} are missing. Free them, or choose a smaller model or adapter"
        )
    disk = weight_bytes + _CHECKPOINTS * _STATE_BYTES * needed.sizes.learning
    empty = shutil.disk_usage(folder).free
    if disk > empty:
        raise TrainingError(
            f"not enough disk for a rehearsal: {folder} needs about {gib(disk)}, and {gib(empty)} are free; "
            f"{gib(disk - empty)} are missing. Name a folder on another disk with --keep, or set TMPDIR"
        )


def _free_gpu() -> int:
    """Return the bytes that are free on the first GPU; torch would open it, and hold some, to say so."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", "--id=0"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return int(found.stdout) * 2**20
