"""What runs ask of a cluster, and how many of a kind have room; Ray is asked nothing."""

import pytest

from raybio.config.demand import Demand
from raybio.study import demand as room
from raybio.study.stages import known_runs
from raybio.submission.room import Nodes


@pytest.fixture
def trained(make_study):
    """Return a study's first run with other options of its workers."""
    return lambda **workers: known_runs(
        make_study(options={f"workers.{key}": value for key, value in workers.items()})
    )[0]


@pytest.mark.parametrize(("has_gpus", "gpus"), [(True, 1.0), (False, 0.0)])
def test_auto_has_a_gpu_where_the_cluster_has_any(trained, monkeypatch, has_gpus, gpus):
    monkeypatch.setattr(room, "uses_gpu", lambda workers: has_gpus)
    run = trained(num_workers=2, cpus_per_worker=3)
    assert room.demand(run) == (Demand("training worker", 2, 3.0, gpus),)


def test_a_measurement_asks_for_its_most_replicas_and_for_no_worker(make_study, finish):
    measure = {"enabled": True, "scaling": {"replicas": [1, 2, 4]}}
    models = make_study().model_dump(mode="json")["models"][:1]
    models[0].update(options={"workers.num_workers": 8}, serve={"cpus": 2, "gpus": 0.5})
    study = make_study(models=models, measure=measure)
    finish(known_runs(study)[0], 5, "dev", "test")
    (run,) = [run for run in known_runs(study) if run.kind == "measure"]
    assert room.demand(run) == (Demand("replica of one", 4, 2.0, 0.5),)


@pytest.mark.parametrize(
    ("nodes", "most", "fitting"),
    [
        ([Nodes("node", 1, 8.0, 0.0)], 10, 4),
        ([Nodes("node", 1, 8.0, 0.0)], 3, 3),
        ([Nodes("node", 2, 3.0, 0.0)], 10, 2),  # no worker is spread over two nodes
        ([Nodes("node", 1, 1.0, 0.0)], 10, 1),  # one is always tried, and may wait for a node
    ],
)
def test_as_many_at_once_as_have_room(trained, nodes, most, fitting):
    assert room.at_once(trained(accelerator="cpu", cpus_per_worker=2), nodes, most) == fitting


def test_the_nodes_that_live_are_those_there_are(monkeypatch):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}},
        {"Alive": True, "Resources": {"CPU": 2.0}},
        {"Alive": False, "Resources": {"CPU": 64.0}},
    ]
    monkeypatch.setattr(room.ray, "nodes", lambda: nodes)
    assert [(node.cpus, node.gpus) for node in room.nodes_now()] == [(4.0, 1.0), (2.0, 0.0)]
