import pickle
from types import SimpleNamespace

import pytest

from raybio.bulk_tagging import nodes
from raybio.bulk_tagging.nodes import MAX_LOADS, Board, Nodes, Unfit, all_but, check_left, hosts_of, loading
from raybio.config import TaggersSection
from raybio.errors import ClusterError, ModelError

FULL = ModelError("on node one: the disk is full")


def unfit(*names):
    return [Unfit(name, f"host-{name}", FULL) for name in names]


@pytest.mark.parametrize(
    ("failed", "hosts", "comes"),
    [
        ([], [], False),  # nodes that are still to come
        (["a"], ["a", "b"], False),
        (["a", "b", "c", "d"], ["a", "b", "c", "d", "e"], True),
        (["a"], ["a"], True),  # the cluster starts another one
        (["a", "b"], [], True),
    ],
)
def test_a_job_continues_where_others_may_work(failed, hosts, comes):
    check_left(unfit(*failed), hosts, comes)


def test_a_job_ends_with_what_the_only_node_said():
    with pytest.raises(ModelError) as raised:
        check_left(unfit("a"), ["a"], False)
    assert raised.value is FULL


@pytest.mark.parametrize("comes", [True, False])
def test_a_job_ends_where_all_nodes_fail(comes):
    with pytest.raises(ClusterError, match=r"on any of 3 nodes\. On host-a: on node one: the disk is full"):
        check_left(unfit("a", "b", "c"), ["a", "b", "c"], comes)


def test_only_nodes_that_are_large_enough_count():
    def node(name, alive=True, **resources):
        return {"NodeID": name, "Alive": alive, "Resources": resources}

    cluster = [
        node("head"),
        node("cpu", CPU=16),
        node("gpu", CPU=4, GPU=1),
        node("gone", False, CPU=4, GPU=1),
    ]
    assert hosts_of(cluster, TaggersSection()) == ["cpu", "gpu"]
    assert hosts_of(cluster, TaggersSection(gpus=0.5)) == ["gpu"]
    assert hosts_of(cluster, TaggersSection(cpus=8)) == ["cpu"]


def test_a_selector_names_the_nodes_to_avoid():
    assert all_but([]) == {}
    assert all_but(["a", "b"]) == {"ray.io/node-id": "!in(a,b)"}


def test_each_unfit_node_is_said_once(monkeypatch):
    board, said = Board(), []
    monkeypatch.setattr(nodes.ray, "nodes", lambda: [{"NodeID": "b", "Alive": True, "Resources": {"CPU": 1}}])
    monkeypatch.setattr(nodes.ray, "get", lambda found: found)
    monkeypatch.setattr(nodes, "autoscaled", lambda: False)
    known = object.__new__(Nodes)
    known.board = type("Handle", (), {"unfit": type("Method", (), {"remote": staticmethod(board.unfit)})})
    known._taggers, known._progress, known._said = TaggersSection(), said.append, set()
    assert known.label_selector() == {}
    for _ in range(2):
        board.add(unfit("a")[0])
        assert known.label_selector() == {"ray.io/node-id": "!in(a)"}
    assert said == ["on node one: the disk is full. No more taggers start on host-a; other nodes are tried"]


def test_what_a_node_says_reaches_the_driver_as_it_is():
    error = pickle.loads(pickle.dumps(unfit("a")[0])).error
    assert (type(error), str(error)) == (ModelError, str(FULL))


def test_a_process_that_dies_of_loading_again_and_again_is_told_so(monkeypatch):
    board = Board()
    tagger = SimpleNamespace(get_node_id=lambda: "one", get_actor_id=lambda: "tagger")
    monkeypatch.setattr(nodes.ray, "get_runtime_context", lambda: tagger)
    monkeypatch.setattr(nodes.ray, "get", lambda found: found)
    handle = SimpleNamespace(
        begins=SimpleNamespace(remote=board.begins), loaded=SimpleNamespace(remote=board.loaded)
    )
    with loading(handle):
        pass
    for _ in range(MAX_LOADS):
        loading(handle).__enter__()  # as what dies in the block
    with pytest.raises(ClusterError, match=f"died {MAX_LOADS} times on .* while it loaded"), loading(handle):
        pass
    tagger.get_node_id = lambda: "another"
    with loading(handle):
        pass
