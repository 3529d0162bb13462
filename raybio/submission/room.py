"""What the nodes of a cluster have room for: those that run, or those that its file lets it start."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raybio.config.demand import Demand, Together
from raybio.errors import InputError, UsageError


@dataclass(frozen=True, slots=True)
class Nodes:
    """`count` nodes, or at most so many, that are alike."""

    name: str
    count: int
    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.count} {self.name} ({self.cpus:g} CPU, {self.gpus:g} GPU)"


def check_room(asked: Sequence[Together], nodes: Sequence[Nodes]) -> None:
    """See that the cluster has room for what is asked: each process on one node, nodes filled greedily.

    Raises:
        UsageError: it has not; the message names what finds no place, and what there is.
    """
    for together in asked:
        if lacks := lacking(together, nodes):
            has = ", ".join(map(str, nodes)) or "nothing"
            raise UsageError(
                f"the job asks for {lacks}. The cluster has {has}. Ask for less, or start more nodes; for a "
                "cluster that starts nodes by itself give its file: --cluster FILE"
            )


def lacking(together: Together, nodes: Sequence[Nodes]) -> str | None:
    """Say what finds no place, each process on one node and nodes filled greedily; None where all does."""
    free = [[each.cpus, each.gpus] for each in nodes for _ in range(each.count)]
    for demand in sorted(together, key=lambda d: (d.gpus, d.cpus), reverse=True):
        placed = sum(_place(demand, free) for _ in range(demand.count))
        if placed < demand.count:
            return f"{demand}, and there is room for {placed}"
    return None


def _place(demand: Demand, free: list[list[float]]) -> bool:
    """Take room for one process from the fullest node that has it, CPU nodes first; say if there was one."""
    fits = [node for node in free if node[0] >= demand.cpus and node[1] >= demand.gpus]
    for node in heapq.nsmallest(1, fits, key=lambda node: (node[1], node[0])):
        node[0] -= demand.cpus
        node[1] -= demand.gpus
    return bool(fits)


def nodes_of_file(path: str | Path) -> list[Nodes]:
    """Return the most nodes of each type that a cluster may start, from its file.

    The file is one of Ray's cluster launcher (`cluster.yaml`), or a KubeRay manifest.

    Raises:
        InputError: it cannot be read, or is neither.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        found = list(_launched(data) if "available_node_types" in data else _kube(data))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(str(path), "", f"cannot be read ({error})", "Give the cluster's file") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            str(path), "", f"is no description of a cluster ({error!r})", "Give a cluster.yaml or KubeRay's"
        ) from error
    return found


def _launched(data: Mapping[str, Any]) -> Iterator[Nodes]:
    most = data.get("max_workers", 0)
    for name, kind in data["available_node_types"].items():
        count = 1 if name == data["head_node_type"] else min(most, kind.get("max_workers", most))
        resources = kind["resources"]
        yield Nodes(name, count, resources.get("CPU", 0), resources.get("GPU", 0))


def _kube(data: Mapping[str, Any]) -> Iterator[Nodes]:
    spec = data["spec"]
    cluster = spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec
    yield _pods("head", 1, cluster["headGroupSpec"])
    for group in cluster["workerGroupSpecs"]:
        yield _pods(group["groupName"], group["maxReplicas"], group)


def _pods(name: str, count: int, group: Mapping[str, Any]) -> Nodes:
    """Return a group's pods; what `ray start` is given goes before what Kubernetes sets aside."""
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    given = group.get("rayStartParams", {})
    cpus = float(given.get("num-cpus", limits["cpu"]))
    return Nodes(name, count, cpus, float(given.get("num-gpus", limits.get("nvidia.com/gpu", 0))))
