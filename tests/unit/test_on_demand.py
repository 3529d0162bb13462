from types import SimpleNamespace

import pytest
from ray.autoscaler.v2.schema import ClusterStatus, LaunchRequest, NodeInfo

from raybio import on_demand
from raybio.on_demand import OnDemand, resource_of

TAGGER = {"CPU": 4.0, "GPU": 1.0}
SPOT_TIMEOUT_S = 60


class Holders:
    """Stands in for Ray: which actors there are, and how many of them, the first ones, have a node."""

    def __init__(self):
        self.asked, self.running = [], 0

    def remote(self, _):
        return SimpleNamespace(options=self._options)

    def _options(self, num_cpus, resources):
        assert num_cpus == 0
        self._resources = resources
        return SimpleNamespace(remote=self._start)

    def _start(self):
        holder = SimpleNamespace(resources=self._resources)
        holder.ready = SimpleNamespace(remote=lambda: holder)
        self.asked.append(holder)
        return holder

    def wait(self, refs, num_returns, timeout):
        assert (num_returns, timeout) == (len(refs), 0)
        return refs[: self.running], refs[self.running :]

    def kill(self, holder):
        self.asked.remove(holder)


@pytest.fixture
def ray(monkeypatch):
    holders = Holders()
    monkeypatch.setattr(on_demand, "ray", holders)
    return holders


def cluster(*failed, booting=()):
    """A status with launches of types that failed at a time by the head's clock, and nodes that boot."""
    launches = [LaunchRequest(name, name, 1, LaunchRequest.Status.FAILED, 0, at, "") for name, at in failed]
    nodes = [NodeInfo(name, name, "setting-up", name, "10.0.0.1") for name in booting]
    return ClusterStatus(failed_launches=launches, pending_nodes=nodes)


def refused_for_long(ray, missing, spot_timeout_s=SPOT_TIMEOUT_S, **status):
    """Let spot be refused for as long as it may; return the demand, and what it says."""
    demand = OnDemand(TAGGER, spot_timeout_s)
    assert demand.see(cluster(("spot", 5)), missing, now=100) is None
    assert demand.see(cluster(("spot", 6)), missing, now=159) is None
    assert ray.asked == []
    return demand, demand.see(cluster(("spot", 7), **status), missing, now=160)


def test_a_tagger_asks_for_as_much_as_it_has_of_a_nodes_gpus_or_cpus():
    assert resource_of(TAGGER) == ("on_demand_GPU", 1)
    assert resource_of({"CPU": 4.0, "GPU": 0.5}) == ("on_demand_GPU", 0.5)
    assert resource_of({"CPU": 4.0, "GPU": 0.0}) == ("on_demand_CPU", 4)


def test_on_demand_nodes_are_asked_for_once_spot_was_refused_for_long_enough(ray):
    demand, said = refused_for_long(ray, missing=3)
    assert said == "spot could not be started for 60 s: nodes that have on_demand_GPU are asked for too"
    assert [each.resources for each in ray.asked] == [{"on_demand_GPU": 1.0}] * 3
    assert demand.see(cluster(("spot", 8)), 3, now=170) is None
    assert len(ray.asked) == 3
    demand.release()
    assert ray.asked == []


def test_nodes_that_boot_are_waited_for(ray):
    """What was refused before the job began says nothing of the nodes that it gets now."""
    demand = OnDemand(TAGGER, SPOT_TIMEOUT_S)
    for now in range(0, 600, 60):
        assert demand.see(cluster(("spot", 5), booting=["spot"] * 3), 3, now) is None
    assert ray.asked == []


def test_only_what_is_refused_is_replaced(ray):
    refused_for_long(ray, missing=3, booting=["spot", "spot"])
    assert len(ray.asked) == 1


def test_nothing_is_said_or_asked_where_all_that_is_missing_boots(ray):
    _, said = refused_for_long(ray, missing=2, booting=["spot", "spot"])
    assert said is None and ray.asked == []


def test_who_never_falls_back_asks_for_nothing(ray):
    _, said = refused_for_long(ray, missing=3, spot_timeout_s=None)
    assert said is None and ray.asked == []


def test_a_wait_that_ends_begins_anew(ray):
    demand = OnDemand(TAGGER, SPOT_TIMEOUT_S)
    demand.see(cluster(("spot", 5)), 1, now=0)
    demand.see(cluster(("spot", 6)), 0, now=30)
    demand.see(cluster(("spot", 7)), 1, now=50)
    assert demand.see(cluster(("spot", 8)), 1, now=100) is None
    assert demand.see(cluster(("spot", 8)), 1, now=110) is not None


def test_as_many_wait_as_are_missing_beside_those_that_have_a_node(ray):
    demand, _ = refused_for_long(ray, missing=3)
    ray.running = 2
    demand.see(cluster(("spot", 8)), 1, now=170)
    assert len(ray.asked) == 3
    demand.see(cluster(("spot", 9)), 2, now=180)  # a node that had come is gone
    assert len(ray.asked) == 3
    demand.see(cluster(("spot", 9)), 2, now=190)
    assert len(ray.asked) == 4


def test_those_too_many_are_given_up_at_the_second_look(ray):
    demand, _ = refused_for_long(ray, missing=3)
    demand.see(cluster(("spot", 8)), 1, now=170)
    assert len(ray.asked) == 3
    demand.see(cluster(("spot", 9)), 1, now=180)
    assert len(ray.asked) == 1
