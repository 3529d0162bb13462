"""Which runs the engine starts, and when; Ray is a stand-in that does a task when it is waited for."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from raybio.config.demand import Demand
from raybio.errors import ConfigError
from raybio.run_folder import RunFolder
from raybio.study import engine
from raybio.study.folder import StudyFolder
from raybio.study.stages import known_runs
from raybio.submission.room import Nodes


class DiedError(Exception):
    """What Ray raises where a process died."""


@pytest.fixture
def cluster(monkeypatch, finish):
    """Stand in for a cluster of one node with two CPUs; `does` says what each run does, by its model.

    `in_flight` has the kinds of the runs in flight together, `down` what was taken down.
    """
    at = SimpleNamespace(started=[], in_flight=[], does={}, cpus=2.0, down=[])

    def perform(run, *_):
        def task():
            at.started.append((run.kind, run.model, run.seed))
            outcome = at.does.get(run.model)
            if outcome is DiedError:
                raise DiedError("the worker died\nand so on")
            if outcome is None:
                _do(run, finish)
            return outcome

        return task

    def wait(tasks, **_):
        at.in_flight.append([kind for kind, _ in tasks])
        return tasks[:1], tasks[1:]

    def remote(**_):
        return lambda function: SimpleNamespace(remote=lambda run, *more: (run.kind, function(run, *more)))

    fake = SimpleNamespace(
        remote=remote,
        wait=wait,
        get=lambda task: task[1](),
        exceptions=SimpleNamespace(RayError=DiedError),
    )
    monkeypatch.setattr(engine, "ray", fake)
    monkeypatch.setattr(engine, "perform", perform)
    monkeypatch.setattr(engine, "take_down", lambda run: at.down.append(run.name))
    monkeypatch.setattr(engine, "connected", nullcontext)
    monkeypatch.setattr(engine, "demand", lambda run: (Demand("worker", 1, 1.0, 0.0),))
    monkeypatch.setattr(engine, "nodes_now", lambda: [Nodes("node", 1, at.cpus, 0.0)])
    return at


def _do(run, finish):
    """Write what the run would: of a search all its points, and which one is best."""
    if run.kind == "measure":
        RunFolder(run.path).write_json("benchmark.json", {"results": [{}]})
    elif run.kind == "search":
        for point in run.configs:
            finish(replace(run, kind="train", configs=(point,), path=run.path.parent / point.name), 5)
        RunFolder(run.path).write_json("search.json", {"chosen": run.config.name})
    else:
        finish(run, 5, "dev", *(["test"] if run.kind == "test" else []))


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
    assert max(map(len, cluster.in_flight)) == most


def test_a_run_that_no_machine_here_can_hold_fails_and_says_so(make_study, cluster):
    cluster.cpus = 0.5
    outcome = engine.run_study(make_study(), lambda line: None)
    assert len(outcome.failed) == 4 and cluster.started == []
    assert all("no room for 1 worker with 1 CPU" in problem for problem in outcome.failed.values())


def test_a_search_and_a_measurement_have_the_cluster_to_themselves(make_study, cluster):
    cluster.cpus = 8.0
    study = make_study(search={"method": "asha"}, measure={"enabled": True}, seeds=[1, 2, 3])
    outcome = engine.run_study(study, lambda line: None)
    assert not outcome.failed and all(run.done for run in known_runs(study))
    for kind in ("search", "measure"):
        together = [kinds for kinds in cluster.in_flight if kind in kinds]
        assert len(together) == 2 and all(kinds == [kind] for kinds in together)
    assert max(map(len, cluster.in_flight)) > 1


def test_a_measurement_is_not_overtaken_by_what_comes_after_it(make_study, cluster):
    engine.run_study(make_study(measure={"enabled": True}, seeds=[1, 2]), lambda line: None)
    kinds = [(kind, model) for kind, model, _ in cluster.started]
    assert kinds.index(("measure", "one")) < kinds.index(("test", "two"))


@pytest.mark.parametrize("failure", ["ServingError: it does not start", DiedError])
def test_what_a_failed_measurement_left_in_serve_is_taken_down(make_study, cluster, finish, failure):
    study = make_study(measure={"enabled": True})
    for run in known_runs(study):
        finish(run, 5, "dev", "test")
    cluster.does["one"] = failure
    (failed,) = engine.run_study(study, lambda line: None).failed
    assert failed.startswith("one-") and cluster.down == [failed]


def test_faults_come_before_anything_is_started(make_study, cluster):
    with pytest.raises(ConfigError):
        engine.run_study(make_study(options={"training.epochs": 0}), lambda line: None)
    assert cluster.started == []
