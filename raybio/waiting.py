"""While a job waits for nodes it says what it waits for, and what the autoscaler tried; not forever.

Ray itself waits in silence: an autoscaler whose launches are refused (no capacity, a quota of 0) tries
again and again, and says so only in its own log.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

import ray
from ray.autoscaler.v2.schema import ClusterStatus, LaunchRequest
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.exceptions import RayError

from raybio.errors import ClusterError
from raybio.on_demand import OnDemand
from raybio.refusals import refusals

SAID_SECONDS = 30.0
"""How often a job that waits says so."""

_ASKED_SECONDS = 10.0
_END = signal.SIGUSR1


class Wait:
    """A job's wait for processes that ask for `shape` each ("CPU", "GPU"); times are monotonic seconds.

    `refusals` gives why the last launch of each node type failed.
    """

    def __init__(
        self,
        shape: Mapping[str, float],
        timeout_s: float | None,
        now: float,
        refusals: Callable[[], Mapping[str, str]],
    ) -> None:
        self._shape = {name: amount for name, amount in shape.items() if amount}
        self._refusals = refusals
        self._timeout_s = timeout_s
        self._begun = self._said = now
        self._started = False

    def seen(self, now: float | None = None) -> None:
        """Note a sign of life: the job has started, and does not wait at present."""
        self._started = True
        self._begun = self._said = time.monotonic() if now is None else now

    def missing(self, status: ClusterStatus) -> int:
        """Return how many processes find no node at present."""
        return waiting_for(status, self._shape)

    def line(self, status: ClusterStatus, now: float) -> str | None:
        """Return what there is to say of the wait, if it is time to say it and something is waited for.

        Raises:
            ClusterError: nothing has started in `timeout_s`.
        """
        missing = self.missing(status)
        if not missing:
            self._begun = self._said = now
            return None
        waited = now - self._begun
        asked = f"{missing} x " + " and ".join(f"{amount:g} {name}" for name, amount in self._shape.items())
        over = self._timeout_s is not None and not self._started and waited >= self._timeout_s
        if not over and now - self._said < SAID_SECONDS:
            return None
        self._said, comes = now, what_comes(status, self._refusals())
        if over:
            raise ClusterError(
                f"nothing started in {self._timeout_s:g} s (start_timeout_s): no node for {asked}; {comes}. "
                "Ask for less or for another type, or see to the node types and quotas"
            )
        return f"waiting for {asked} for {waited:.0f} s: {comes}"


def waiting_for(status: ClusterStatus, shape: Mapping[str, float]) -> int:
    """Return how many processes of that shape find no node at present."""
    demands = status.resource_demands
    every = [*demands.ray_task_actor_demand, *demands.placement_group_demand]
    found = [each for demand in every for each in demand.bundles_by_count]
    return sum(each.count for each in found if _asked(each.bundle) == dict(shape))


def what_comes(status: ClusterStatus, reasons: Mapping[str, str]) -> str:
    """Return in words what nodes the autoscaler starts, and which it could not, and by `reasons` why."""
    booting = Counter(node.ray_node_type_name for node in status.pending_nodes)
    failed = _counted(status.failed_launches)
    starting = booting + Counter(_counted(status.pending_launches))
    parts = [f"{count} {name} starting" for name, count in sorted(starting.items())]
    for name, count in sorted(failed.items()):
        reason = reasons.get(name, "why stands in monitor.log on the head")
        parts.append(f"{name} could not be started ({count} failed): {reason}")
    if not parts and status.stats.autoscaler_version in (None, "0"):
        return "the cluster starts no nodes by itself"
    return "; ".join(parts) or "the autoscaler starts none: no node type has that, or all have max_workers"


@contextmanager
def waiting(
    shape: Mapping[str, float],
    timeout_s: float | None,
    progress: Callable[[str], None],
    started: Callable[[], bool] = lambda: False,
    spot_timeout_s: float | None = None,
) -> Iterator[Wait]:
    """Say to `progress` what a job waits for, for the length of a `with` block; the main thread's alone.

    Whoever sees results calls `seen`; or `started` says whether there are any. Where launches of nodes fail
    for `spot_timeout_s`, on-demand nodes are asked for too (`on_demand`); None = they never are.

    Raises:
        ClusterError: no process of that `shape` has started in `timeout_s`; None = any time.
    """
    wait, over = Wait(shape, timeout_s, time.monotonic(), refusals), threading.Event()
    on_demand = OnDemand(shape, spot_timeout_s)
    ended: list[ClusterError] = []
    main = threading.current_thread() is threading.main_thread()
    address = ray.get_runtime_context().gcs_address

    def look() -> None:
        while not over.wait(_ASKED_SECONDS):
            if started():
                wait.seen()
            try:
                status = get_cluster_status(address)
            except RayError:  # the head does not answer at the moment
                continue
            try:
                now = time.monotonic()
                for line in (on_demand.see(status, wait.missing(status), now), wait.line(status, now)):
                    if line:
                        progress(line)
            except ClusterError as error:
                ended.append(error)
                if main and not over.is_set():
                    signal.pthread_kill(threading.main_thread().ident or 0, _END)
                return

    def end(number: int, frame: FrameType | None) -> None:
        if ended and not over.is_set():
            raise ended[0]

    before = signal.signal(_END, end) if main else None
    thread = threading.Thread(target=look, daemon=True, name="raybio-waiting")
    thread.start()
    try:
        yield wait
    finally:
        over.set()
        thread.join()
        on_demand.release()
        if main:
            signal.signal(_END, before)


def _counted(launches: Iterable[LaunchRequest]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for launch in launches:
        counts[launch.ray_node_type_name] += launch.count
    return counts


def _asked(bundle: Mapping[str, float]) -> dict[str, float]:
    """Return a bundle without what Ray adds by itself, such as the label of a placement group."""
    return {name: amount for name, amount in bundle.items() if name in ("CPU", "GPU") and amount}
