"""One process that trains alone, without Ray: what a worker is to the learners."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed


@dataclass(frozen=True)
class Alone:
    """Stands for `raybio.training.workers.Workers` where there is one worker."""

    device: torch.device
    rank: int = 0
    world: int = 1

    def prepare(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model on the device."""
        return model.to(self.device)


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Be a group of one process, as DeepSpeed wants it."""
    os.environ["LOCAL_RANK"] = "0"  # DeepSpeed looks there
    with tempfile.TemporaryDirectory() as meeting:
        torch.distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"file://{meeting}/group",
            rank=0,
            world_size=1,
        )
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()
            del os.environ["LOCAL_RANK"]
