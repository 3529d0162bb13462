"""What a job asks of a cluster: processes, with the CPUs and GPUs that each must find on a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Demand:
    """`count` processes of one kind ("tagger"), and what Ray sets aside for each."""

    kind: str
    count: int
    cpus: float
    gpus: float

    def __str__(self) -> str:
        size = f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")
        return f"{self.count} {self.kind} with {size}" + (" each" if self.count > 1 else "")


Together: TypeAlias = tuple[Demand, ...]
"""What must have room at the same time."""
