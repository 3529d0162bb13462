"""What Ray Serve's own config files start has a run's id in its logs, as what `raybio serve` starts."""

from types import SimpleNamespace

import pytest
from ray.serve.schema import ApplicationStatus

from raybio.errors import ServingError
from raybio.serving import applications


@pytest.fixture
def ids(monkeypatch):
    """The ids that applications were made with."""
    made = []
    monkeypatch.setattr(applications, "model_application", lambda section, run_id: made.append(run_id))
    monkeypatch.setattr(
        applications,
        "interface_application",
        lambda ingress, names, limits, run_id, hosts: made.append(run_id),
    )
    return made


def test_every_start_has_an_id_of_its_own(ids):
    for _ in range(2):
        applications.model({"name": "m", "model": "bundled:minilm"})
        applications.interface({"models": ["m"]})
    assert all(ids) and len(set(ids)) == 4


class Serve:
    """Ray Serve whose applications have these states, one look after the other; and its clock."""

    def __init__(self, monkeypatch, *looks):
        self.looks = list(looks)
        self.now = 0.0
        monkeypatch.setattr(applications, "serve", self)
        monkeypatch.setattr(applications, "time", self)
        monkeypatch.setattr(applications, "described", lambda name: {"name": name})

    def status(self):
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return SimpleNamespace(
            applications={
                name: SimpleNamespace(status=ApplicationStatus(state), message="No such file.")
                for name, state in look.items()
            }
        )

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_the_interface_waits_for_models_that_start_and_says_so(monkeypatch, caplog):
    starting = [{"a": "RUNNING", "b": "DEPLOYING"}] * 150
    clock = Serve(monkeypatch, {}, {"b": "DEPLOYING"}, *starting, {"a": "RUNNING", "b": "RUNNING"})
    with caplog.at_level("WARNING", "ray.serve"):
        assert applications._describe(["a", "b"]) == [{"name": "a"}, {"name": "b"}]
    assert clock.now == 152
    assert [record.message for record in caplog.records][:3] == [
        "waiting for a (absent), b (absent)",
        "waiting for a (absent), b (deploying)",
        "waiting for b (deploying)",
    ]
    assert len(caplog.records) == 5, "once a minute"


@pytest.mark.parametrize("others", [{}, {"b": "DEPLOYING"}, {"b": "RUNNING"}])
def test_a_model_that_failed_to_deploy_ends_the_wait(monkeypatch, others):
    Serve(monkeypatch, {"a": "DEPLOYING", **others}, {"a": "DEPLOY_FAILED", **others})
    with pytest.raises(ServingError, match=r"model a failed to deploy: No such file\. Deploy it again"):
        applications._describe(["b", "a"])


def test_a_model_that_there_is_not_ends_the_wait(monkeypatch):
    clock = Serve(monkeypatch, {"encoder": "RUNNING"})
    with pytest.raises(ServingError, match=r"no application 'encodr'; there is: encoder\. Correct"):
        applications._describe(["encodr"])
    assert clock.now < 70


def test_a_model_that_is_unhealthy_may_recover(monkeypatch):
    Serve(monkeypatch, {"a": "UNHEALTHY"}, {"a": "RUNNING"})
    assert applications._describe(["a"]) == [{"name": "a"}]
