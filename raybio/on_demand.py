"""On-demand nodes in the place of spot nodes that the cloud refuses.

Ray's autoscaler asks for the node type of the highest priority again and again, however often its launch
is refused (ray 2.60). So a job asks for the other type itself, by a resource that only that type has: as
much of it as the type has GPUs, or CPUs where it has no GPU. Actors hold that resource, and nothing that a
tagger needs. They end with the job, whatever ends it; what is asked of Ray by `request_resources` would
outlive a driver that is killed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import ray
from ray.autoscaler.v2.schema import ClusterStatus


def resource_of(shape: Mapping[str, float]) -> tuple[str, float]:
    """Return the resource of on-demand nodes for processes that ask for `shape` each, and how much of it."""
    kind = "GPU" if shape.get("GPU") else "CPU"
    return f"on_demand_{kind}", shape[kind]


class OnDemand:
    """A job's demand for on-demand nodes; times are monotonic seconds."""

    def __init__(self, shape: Mapping[str, float], spot_timeout_s: float | None) -> None:
        self._resource, self._amount = resource_of(shape)
        self._timeout_s = spot_timeout_s
        self._since: float | None = None
        self._refused_before: dict[str, int] = {}
        self._held: list[tuple[Any, Any]] = []
        self._short_before = math.inf

    def see(self, status: ClusterStatus, missing: int, now: float) -> str | None:
        """Ask for nodes for `missing` processes, where others were refused for long enough.

        Return what to say of it, the first time.
        """
        if self._timeout_s is None or not self._amount or not (missing or self._held):
            self._since = None
            return None
        refused_last = _last_refusals(status)
        if self._since is None:
            self._since, self._refused_before = now, refused_last
        refused = {name for name, at in refused_last.items() if at > self._refused_before.get(name, 0)}
        if not self._held and (not refused or now - self._since < self._timeout_s):
            return None
        booting = sum(node.ray_node_type_name in refused for node in status.pending_nodes)
        first = not self._held
        self._want(missing - booting)
        if not first or not self._held:
            return None
        return (
            f"{', '.join(sorted(refused))} could not be started for {now - self._since:.0f} s: "
            f"nodes that have {self._resource} are asked for too"
        )

    def release(self) -> None:
        """Ask for nothing any more."""
        self._drop(len(self._held))

    def _want(self, nodes: int) -> None:
        """Have so many actors wait for a node, beside those that have one."""
        started: list[Any] = []
        if self._held:
            refs = [ready for _, ready in self._held]
            started, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        short = max(nodes, 0) - (len(self._held) - len(started))
        # Of an actor and a tagger that share a new node, one may be seen a moment before the other: what is
        # short or too many counts once two looks agree.
        agreed = sorted((0, short, self._short_before))[1]
        self._short_before = short
        holders: Any = ray.remote(_Holder)
        for _ in range(int(agreed)):
            holder = holders.options(num_cpus=0, resources={self._resource: self._amount}).remote()
            self._held.append((holder, holder.ready.remote()))
        self._drop(int(-agreed))

    def _drop(self, count: int) -> None:
        for _ in range(count):
            holder, _ = self._held.pop()
            ray.kill(holder)


class _Holder:
    """An actor that holds its resource and does nothing."""

    def ready(self) -> None:
        """Answer, once it runs."""


def _last_refusals(status: ClusterStatus) -> dict[str, int]:
    """Return when a launch of each node type failed last, by the clock of the head."""
    last: dict[str, int] = {}
    for launch in status.failed_launches:
        name, at = launch.ray_node_type_name, launch.failed_ts_s or 0
        last[name] = max(at, last.get(name, 0))
    return last
