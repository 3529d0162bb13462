"""Nodes on which no tagger can work, for a full disk or a model that does not load: others are tried.

What is wrong with one node ends no job. It ends where no other node is left, and where new ones would
come, after a few have failed and none has worked.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raybio.config import TaggersSection
from raybio.errors import ClusterError, RaybioError, first_line

NODE_LABEL = "ray.io/node-id"
"""The label that Ray gives each node by itself."""

MAX_FAILED = 3
"""Nodes that fail before a job gives up, where the cluster would start others without end."""

MAX_LOADS = 3
"""Times that a tagger's process may die while it loads its model on a node, before that is unfit."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A node, by Ray's id and the name of its host, on which a tagger could not work, and why."""

    node: str
    host: str
    error: RaybioError

    @classmethod
    def here(cls, error: Exception) -> Unfit:
        """Return this process's node, with what went wrong on it."""
        known = (
            error if isinstance(error, RaybioError) else ClusterError(f"a tagger failed: {first_line(error)}")
        )
        return cls(ray.get_runtime_context().get_node_id(), socket.gethostname(), known)


class Board:
    """An actor on the driver's node, which workers tell what nodes are unfit."""

    def __init__(self) -> None:
        self._unfit: dict[str, Unfit] = {}
        self._loading: Counter[tuple[str, str]] = Counter()

    def add(self, unfit: Unfit) -> None:
        """Note an unfit node; what it said first stays."""
        self._unfit.setdefault(unfit.node, unfit)

    def begins(self, node: str, tagger: str) -> int:
        """Note that a tagger loads its model; return how many times it began to there, and did not end."""
        self._loading[node, tagger] += 1
        return self._loading[node, tagger]

    def loaded(self, node: str, tagger: str) -> None:
        """Note that it has."""
        del self._loading[node, tagger]

    def unfit(self) -> list[Unfit]:
        """Return all of them, the first one first."""
        return [*self._unfit.values()]


@contextmanager
def loading(board: Any) -> Iterator[None]:
    """Note on the board that this process loads its model, for the length of a `with` block.

    Ray starts a process that died again without a word, as often as it dies.

    Raises:
        ClusterError: processes of this tagger have died of it here before.
    """
    context = ray.get_runtime_context()
    tagger = context.get_node_id(), context.get_actor_id()
    if ray.get(board.begins.remote(*tagger)) > MAX_LOADS:
        raise ClusterError(
            f"a tagger's process died {MAX_LOADS} times on {socket.gethostname()} while it loaded the model, "
            "as one does that is ended for want of memory. Take machines with more, or fewer taggers on each "
            "(taggers.cpus, taggers.gpus); what it printed is in Ray's logs there"
        )
    yield
    ray.get(board.loaded.remote(*tagger))


class Nodes:
    """Where the taggers of one job may start."""

    def __init__(self, taggers: TaggersSection, progress: Callable[[str], None]) -> None:
        """Say to `progress` once of each node that it is avoided."""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.board: Any = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
        self._taggers = taggers
        self._progress = progress
        self._said: set[str] = set()

    def label_selector(self) -> dict[str, str]:
        """Return Ray's selector of the nodes where the next tagger may start.

        Raises:
            RaybioError: what an unfit node said, where no other is left.
        """
        unfit = ray.get(self.board.unfit.remote())
        check_left(unfit, hosts_of(ray.nodes(), self._taggers), bool(unfit) and autoscaled())
        for each in unfit:
            if each.node not in self._said:
                self._said.add(each.node)
                self._progress(f"{each.error}. No more taggers start on {each.host}; other nodes are tried")
        return all_but(each.node for each in unfit)

    def avoid(self, unfit: Unfit) -> None:
        """Start no tagger there any more.

        Raises:
            RaybioError: what it said, where no other node is left.
        """
        ray.get(self.board.add.remote(unfit))
        self.label_selector()


def check_left(unfit: Sequence[Unfit], hosts: Iterable[str], comes: bool) -> None:
    """See that taggers may work elsewhere than on `unfit` nodes; `comes` says that others may start.

    Raises:
        RaybioError: what the first node said, and how many others failed.
    """
    failed = [each.node for each in unfit]
    if not unfit or set(hosts) - set(failed) or (comes and len(unfit) < MAX_FAILED):
        return
    if len(unfit) == 1:
        raise unfit[0].error
    error, others = unfit[0].error, len(unfit) - 1
    raise ClusterError(
        f"no tagger works on any of {len(unfit)} nodes. On {unfit[0].host}: {error} "
        f"(and {others} other{'s' if others > 1 else ''}, named above)"
    ) from error


def hosts_of(nodes: Iterable[Mapping[str, Any]], taggers: TaggersSection) -> list[str]:
    """Return the ids of the living among Ray's `nodes` that are large enough for a tagger."""
    asked = {"CPU": taggers.cpus, "GPU": taggers.gpus}
    return [
        node["NodeID"]
        for node in nodes
        if node["Alive"] and all(node["Resources"].get(name, 0) >= least for name, least in asked.items())
    ]


def without_cpus() -> dict[str, str]:
    """Return Ray's selector of all nodes but those that take no work: a head with `CPU: 0`."""
    return all_but(
        node["NodeID"] for node in ray.nodes() if node["Alive"] and not node["Resources"].get("CPU")
    )


def all_but(nodes: Iterable[str]) -> dict[str, str]:
    """Return Ray's selector of all nodes but those with these ids."""
    ids = ",".join(nodes)
    return {NODE_LABEL: f"!in({ids})"} if ids else {}


def autoscaled() -> bool:
    """Say whether the cluster starts nodes by itself: whether Ray's autoscaler v2 has reported."""
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    return status.stats.autoscaler_version not in (None, "0")
