"""The workers of one run, as one of them sees the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import ray.train
import ray.train.torch
import torch
import torch.distributed

from raybio.config import WorkersSection
from raybio.errors import TrainingError, first_line

T = TypeVar("T")


class Workers:
    """This worker's `rank` among `world`, its `device`, and what all of them do together.

    Every method must be called by all workers, as often and in the same order.
    """

    def __init__(self) -> None:
        context = ray.train.get_context()
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()

    def peak_memory(self) -> dict[str, int]:
        """Return, as a figure of the log, the most bytes that torch allocated on a GPU of any worker."""
        if self.device.type != "cuda":
            return {}
        return {"peak_gpu_bytes": self.most(torch.cuda.max_memory_allocated(self.device))}

    def prepare(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model on this worker's device, its gradients averaged over all workers."""
        prepared: torch.nn.Module = ray.train.torch.prepare_model(model)
        return prepared

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Return this worker's share of what all of them hold."""
        return items[self.rank :: self.world]

    def sum(self, value: float) -> float:
        """Return the sum of every worker's `value`."""
        return self._reduce(value, torch.distributed.ReduceOp.SUM)

    def most(self, value: int) -> int:
        """Return the largest of every worker's `value`."""
        return int(self._reduce(value, torch.distributed.ReduceOp.MAX))

    def each(self, value: T) -> list[T]:
        """Return every worker's `value`, by rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(values, value)
        return values

    def gather(self, work: Callable[[], Sequence[T]]) -> list[T]:
        """Return the results for all items, in order: each worker's `work` yields those of its `share`.

        Raises:
            TrainingError: in every worker, where it failed in any, so that none waits for another.
        """
        if self.world == 1:
            return list(work())
        problem = ""
        results: Sequence[T] = ()
        try:
            results = work()
        except Exception as error:  # whatever it is, the others wait for this worker
            problem = f"{type(error).__name__}: {first_line(error)}"
        parts = self.each((results, problem))
        if failed := [problem for _, problem in parts if problem]:
            raise TrainingError(failed[0])
        shares = [share for share, _ in parts]
        return [shares[i % self.world][i // self.world] for i in range(sum(map(len, shares)))]

    def _reduce(self, value: float, operation: Any) -> float:
        if self.world == 1:
            return value
        tensor = torch.tensor(float(value), dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor, operation)
        return float(tensor.item())


def begin(seed: int, workers: WorkersSection) -> Workers:
    """Set up torch in a fresh worker process; return its place among the workers."""
    torch.manual_seed(seed)  # the same new weights in every worker
    torch.set_num_threads(workers.threads or max(1, int(workers.cpus_per_worker)))
    # The second moments of words that never occur decay into denormal numbers, which are slow.
    torch.set_flush_denormal(True)
    return Workers()
