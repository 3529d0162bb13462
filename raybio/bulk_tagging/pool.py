"""The pool of taggers: how many it asks for, and how many tasks read and cut text for those that it has.

The pool asks for all its taggers at once: Ray's autoscaler then starts their nodes at once too, where a
pool that grows as it is used waits for one boot after the other. Ray Data takes back what a pool has above
its least size as soon as the cluster has no room for it, so the least size is what is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.data._internal.execution.backpressure_policy import (
    ENABLED_BACKPRESSURE_POLICIES,
    ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY,
    BackpressurePolicy,
)
from ray.data._internal.execution.operators.task_pool_map_operator import TaskPoolMapOperator

from raybio.bulk_tagging.inputs import InputFile
from raybio.config import TaggersSection

if TYPE_CHECKING:
    from ray.data._internal.execution.interfaces import PhysicalOperator

_LEAST_RECORD_BYTES = 40
"""Few records take less in a file, compressed: it bounds how many shards a file can have."""


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How many taggers a pool asks for at once, and how many it may grow to."""

    at_once: int
    most: int


def pool_size(taggers: TaggersSection, resources: Mapping[str, float], shards: float = math.inf) -> PoolSize:
    """Return a pool's size on a cluster with `resources` for at most so many shards.

    With neither `count` nor `max_count`, taggers fill the cluster as it is.
    """
    room = resources.get("GPU", 0) / taggers.gpus if taggers.gpus else resources.get("CPU", 1) / taggers.cpus
    most = taggers.max_count or taggers.count or max(1, int(room))
    return PoolSize(int(min(taggers.count or most, max(shards, 1))), most)


def shards_at_most(todo: Iterable[tuple[InputFile, Set[int]]], documents: int) -> float:
    """Return how many shards of so many documents can be left of files at most, by the files' sizes."""
    return sum(
        math.inf if file.size is None else file.size // (documents * _LEAST_RECORD_BYTES) + 1 - len(done)
        for file, done in todo
    )


def had(taggers: TaggersSection) -> dict[str, float]:
    """Return how many taggers the pool may have, at most, and what the cluster has for them."""
    resources = ray.cluster_resources()
    return {
        "taggers": pool_size(taggers, resources).most,
        "cluster_cpus": resources.get("CPU", 0.0),
        "cluster_gpus": resources.get("GPU", 0.0),
    }


def follow_taggers(context: ray.data.DataContext) -> None:
    """Have Ray Data run tasks in `context` for the taggers that there are, not for those that may come."""
    policies = [*ENABLED_BACKPRESSURE_POLICIES, _FollowTaggers]
    context.set_config(ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY, policies)


class _FollowTaggers(BackpressurePolicy):
    """Allows a step of tasks the part of its bound that the pool has of its own."""

    def __init__(self, context: Any, topology: Any, resources: Any) -> None:
        super().__init__(context, topology, resources)
        self._pools = [pool for step in topology for pool in step.get_autoscaling_actor_pools()]

    def can_add_input(self, op: PhysicalOperator) -> bool:
        bound = op.get_max_concurrency_limit()
        if bound is None or not self._pools or not isinstance(op, TaskPoolMapOperator):
            return True
        running = sum(pool.num_running_actors() for pool in self._pools)
        most = sum(pool.max_size() for pool in self._pools)
        return bool(op.metrics.num_tasks_running < tasks_for(running, most, bound))


def tasks_for(taggers: int, most: int, bound: int) -> int:
    """Return how many of `bound` tasks may run for so many of at most `most` taggers: one even for none."""
    return max(1, math.ceil(bound * taggers / most))
