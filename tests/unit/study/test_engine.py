"""Which runs the engine starts, and when; Ray is a stand-in that does a task when it is waited for."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from raybio.errors import ConfigError
from raybio.study import engine
from raybio.study.folder import StudyFolder
from raybio.study.runs import known_runs
from raybio.submission.demand import Demand
from raybio.submission.room import Nodes


class DiedError(Exception):
    """What Ray raises where a process died."""


@pytest.fixture
def cluster(monkeypatch, finish):
    """Stand in for a cluster of one node with two CPUs; `does` says what each run does, by its model."""
    at = SimpleNamespace(started=[], at_once=[], does={}, cpus=2.0)

    def perform(run, *_):
        def task():
            at.started.append((run.kind, run.model, run.seed))
            outcome = at.does.get(run.model)
            if outcome is DiedError:
                raise DiedError("the worker died\nand so on")
            if outcome is None:
                finish(run, 5, "dev", *(["test"] if run.kind == "test" else []))
            return outcome

        return task

    def wait(tasks, **_):
        at.at_once.append(len(tasks))
        return tasks[:1], tasks[1:]

    def remote(**_):
        return lambda function: SimpleNamespace(remote=function)

    fake = SimpleNamespace(
        remote=remote,
        wait=wait,
        get=lambda task: task(),
        exceptions=SimpleNamespace(RayError=DiedError),
    )
    monkeypatch.setattr(engine, "ray", fake)
    monkeypatch.setattr(engine, "perform", perform)
    monkeypatch.setattr(engine, "connected", nullcontext)
    monkeypatch.setattr(engine, "demand", lambda run: (Demand("worker", 1, 1.0, 0.0),))
    monkeypatch.setattr(engine, "nodes_now", lambda: [Nodes("node", 1, at.cpus, 0.0)])
    return at


def test_all_is_done_in_order_and_nothing_is_done_again(make_study, cluster):
    study = make_study(seeds=[1, 2])
    outcome = engine.run_study(study, lambda line: None)
    assert not outcome.failed and all(run.done for run in known_runs(study))
    assert cluster.started.count(("train", "one", 1)) == 2 and cluster.started.count(("test", "one", 2)) == 1
    assert len(cluster.started) == len(set(outcome.finished)) == 2 * (2 + 1 + 2)
    cluster.started.clear()
    assert engine.run_study(study, lambda line: None) == engine.StudyOutcome((), {})
    assert cluster.started == []


def test_only_what_changed_is_done_again(make_study, cluster):
    engine.run_study(make_study(), lambda line: None)
    cluster.started.clear()
    models = make_study().model_dump(mode="json")["models"]
    models[1]["options"]["training.epochs"] = 2
    engine.run_study(make_study(models=models), lambda line: None)
    assert {model for _, model, _ in cluster.started} == {"two"}


@pytest.mark.parametrize("failure", ["ModelError: there is no such model", DiedError])
def test_a_failing_run_is_isolated_and_tried_again(make_study, cluster, failure):
    study = make_study()
    cluster.does["one"] = failure
    said: list[str] = []
    outcome = engine.run_study(study, said.append)
    failed = [run for run in known_runs(study) if run.model == "one"]
    assert list(outcome.failed) == [run.name for run in failed]
    assert all(run.done for run in known_runs(study) if run.model == "two")
    assert StudyFolder(study).error(failed[0].name)
    assert any("failed: " in line for line in said)
    cluster.does.clear()
    cluster.started.clear()
    assert not engine.run_study(study, said.append).failed
    assert {model for _, model, _ in cluster.started} == {"one"}
    assert StudyFolder(study).error(failed[0].name) is None


def test_a_run_that_leaves_no_result_has_failed(make_study, cluster, monkeypatch):
    monkeypatch.setattr(engine, "perform", lambda run, *_: lambda: None)
    outcome = engine.run_study(make_study(), lambda line: None)
    assert set(outcome.failed.values()) == {"it ended without a result"}


@pytest.mark.parametrize(("cpus", "most"), [(1.0, 1), (2.0, 2), (8.0, 4)])
def test_as_many_runs_at_a_time_as_there_is_room_for(make_study, cluster, cpus, most):
    cluster.cpus = cpus
    engine.run_study(make_study(), lambda line: None)
    assert max(cluster.at_once) == most


def test_a_run_that_no_machine_here_can_hold_fails_and_says_so(make_study, cluster):
    cluster.cpus = 0.5
    outcome = engine.run_study(make_study(), lambda line: None)
    assert len(outcome.failed) == 4 and cluster.started == []
    assert all("no room for 1 worker with 1 CPU" in problem for problem in outcome.failed.values())


def test_a_search_and_a_measurement_have_the_cluster_to_themselves(make_study, cluster):
    cluster.does = {"one": "no", "two": "no"}
    engine.run_study(make_study(search={"method": "asha"}), lambda line: None)
    assert cluster.at_once == [1, 1]


def test_faults_come_before_anything_is_started(make_study, cluster):
    with pytest.raises(ConfigError):
        engine.run_study(make_study(options={"training.epochs": 0}), lambda line: None)
    assert cluster.started == []
