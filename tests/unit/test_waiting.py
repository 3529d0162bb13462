import itertools

import pytest
from ray.autoscaler.v2.schema import (
    ClusterStatus,
    LaunchRequest,
    NodeInfo,
    PlacementGroupResourceDemand,
    RayTaskActorDemand,
    ResourceDemandSummary,
    ResourceRequestByCount,
    Stats,
)

from raybio import waiting
from raybio.errors import ClusterError
from raybio.waiting import Wait, waiting_for, what_comes

TAGGER = {"CPU": 4.0, "GPU": 1.0}
REFUSED = "InsufficientInstanceCapacity: no capacity in us-east-2a"


def actors(count, **bundle):
    return RayTaskActorDemand(bundles_by_count=[ResourceRequestByCount(bundle, count)])


def cluster(*demands, groups=(), version="7", **nodes):
    summary = ResourceDemandSummary([*groups], [*demands], [])
    return ClusterStatus(resource_demands=summary, stats=Stats(autoscaler_version=version), **nodes)


def launch(name, count=1, failed=False):
    state = LaunchRequest.Status.FAILED if failed else LaunchRequest.Status.PENDING
    return LaunchRequest(name, name, count, state, 0, 9 if failed else None, "" if failed else None)


def waits(timeout_s, reasons=None):
    return Wait(TAGGER, timeout_s, 0, lambda: reasons or {})


def test_what_is_waited_for_is_counted_by_its_shape():
    bundles = [ResourceRequestByCount({"CPU": 4, "GPU": 1, "bundle": 0.01}, 2)]
    group = PlacementGroupResourceDemand(bundles, details="1:PACK|PENDING")
    status = cluster(actors(6, CPU=4, GPU=1), actors(3, CPU=16), groups=[group])
    assert waiting_for(status, TAGGER) == 8
    assert waiting_for(status, {"CPU": 16.0}) == 3
    assert waiting_for(status, {"CPU": 1.0}) == 0


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (cluster(version="0"), "the cluster starts no nodes by itself"),
        (cluster(), "the autoscaler starts none: no node type has that, or all have max_workers"),
        (cluster(pending_launches=[launch("spot", 3), launch("cpu")]), "1 cpu starting; 3 spot starting"),
        (
            cluster(failed_launches=[launch("spot", 2, failed=True), launch("spot", failed=True)]),
            f"spot could not be started (3 failed): {REFUSED}",
        ),
        (
            cluster(pending_launches=[launch("spot")], failed_launches=[launch("demand", failed=True)]),
            "1 spot starting; demand could not be started (1 failed): why stands in monitor.log on the head",
        ),
    ],
)
def test_what_the_autoscaler_tried_and_why_it_failed_is_said(status, said):
    assert what_comes(status, {"spot": REFUSED}) == said


def test_a_node_that_boots_is_said_with_those_that_are_launched():
    booting = NodeInfo("g6.xlarge", "spot", "setting-up", "i-1", "10.0.0.1")
    status = cluster(pending_launches=[launch("spot", 2)], pending_nodes=[booting])
    assert what_comes(status, {}) == "3 spot starting"


def test_a_job_that_waits_says_so_every_half_minute():
    wait, status = waits(None), cluster(actors(8, CPU=4, GPU=1))
    lines = {now: wait.line(status, now) for now in range(0, 95, 10)}
    assert [now for now, line in lines.items() if line] == [30, 60, 90]
    assert lines[60].startswith("waiting for 8 x 4 CPU and 1 GPU for 60 s: the autoscaler starts none")


def test_a_job_that_waits_for_nothing_says_nothing_and_never_ends():
    wait = waits(60)
    assert not any(wait.line(cluster(actors(3, CPU=16)), now) for now in range(0, 900, 10))


def test_a_job_that_never_starts_ends_with_the_reason():
    wait, status = (
        waits(60, {"spot": REFUSED}),
        cluster(actors(8, CPU=4, GPU=1), failed_launches=[launch("spot", 12, failed=True)]),
    )
    assert wait.line(status, 59)
    with pytest.raises(ClusterError, match=r"nothing started in 60 s .*spot could not .*Insufficient"):
        wait.line(status, 60)


def test_a_job_that_has_started_waits_for_more_without_end():
    wait, status = waits(60), cluster(actors(8, CPU=4, GPU=1))
    wait.seen(50)
    lines = [wait.line(status, now) for now in range(60, 300, 10)]
    assert sum(map(bool, lines)) == 8


def test_the_main_thread_is_ended_whatever_it_waits_in(monkeypatch):
    """The job hangs in a call that knows nothing of the wait."""
    times = itertools.count(0, 100)
    monkeypatch.setattr(waiting, "_ASKED_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "refusals", dict)
    monkeypatch.setattr(waiting.ray, "get_runtime_context", lambda: type("Here", (), {"gcs_address": "a"}))
    monkeypatch.setattr(waiting, "get_cluster_status", lambda _: cluster(actors(1, CPU=4, GPU=1)))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: next(times))
    said = []
    blocked = waiting.threading.Event()
    with (
        pytest.raises(ClusterError, match="nothing started in 350 s"),
        waiting.waiting(TAGGER, 350, said.append),
    ):
        blocked.wait(60)
    assert [line.partition(":")[0] for line in said] == [
        f"waiting for 1 x 4 CPU and 1 GPU for {seconds} s" for seconds in (100, 200, 300)
    ]


def test_signs_of_life_are_looked_for(monkeypatch):
    monkeypatch.setattr(waiting, "_ASKED_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "refusals", dict)
    monkeypatch.setattr(waiting.ray, "get_runtime_context", lambda: type("Here", (), {"gcs_address": "a"}))
    monkeypatch.setattr(waiting, "get_cluster_status", lambda _: cluster(actors(1, CPU=4, GPU=1)))
    looked, over = itertools.count(), waiting.threading.Event()

    def started():
        if next(looked) == 3:
            over.set()
        return True

    with waiting.waiting(TAGGER, 1e-9, lambda _: None, started):
        assert over.wait(60)
