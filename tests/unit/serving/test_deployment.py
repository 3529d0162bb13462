"""What Ray Serve is given of a model; it starts nothing."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from raybio.config import AutoscalingSection, ServedModelSection
from raybio.errors import ServingError
from raybio.serving import deployment
from raybio.serving.deployment import UNBOUNDED_REQUESTS, _options, deploy


def options_of(**fields):
    return _options(ServedModelSection(name="m", model="m", **fields))


def test_replicas_are_fixed_where_nothing_else_is_said():
    options = options_of(replicas=3, cpus=2.0, graceful_shutdown_timeout_s=7.0)
    assert options["num_replicas"] == 3 and "autoscaling_config" not in options
    assert (options["ray_actor_options"]["num_cpus"], options["ray_actor_options"]["num_gpus"]) == (2.0, 0.0)
    assert options["graceful_shutdown_timeout_s"] == 7.0


def test_with_autoscaling_replicas_are_the_fewest():
    growing = AutoscalingSection(
        max_replicas=4, target_ongoing_requests=2.0, upscale_delay_s=1.0, downscale_delay_s=5.0
    )
    options = options_of(replicas=2, autoscaling=growing)
    assert "num_replicas" not in options
    assert options["autoscaling_config"] == {
        "min_replicas": 2,
        "max_replicas": 4,
        "target_ongoing_requests": 2.0,
        "upscale_delay_s": 1.0,
        "downscale_delay_s": 5.0,
    }


@pytest.mark.parametrize("gpus", [0.25, 1.0])
def test_a_replica_has_the_part_of_a_gpu_that_was_asked_for(gpus):
    assert options_of(gpus=gpus)["ray_actor_options"]["num_gpus"] == gpus


def test_no_request_waits_in_ray_serves_router():
    assert options_of(max_ongoing_requests=5)["max_ongoing_requests"] == UNBOUNDED_REQUESTS


COMPLAINT = """The deployment failed to start 3 times in a row. Error:
Traceback (most recent call last):
  File "raybio/serving/replica.py", line 1, in __init__
raybio.errors.ModelError: model m: its card is damaged. Train it again
"""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (COMPLAINT, "model m: its card is damaged. Train it again"),
        ("", "Failed to update the deployments"),
        (None, "Failed to update the deployments"),
    ],
)
def test_replicas_that_do_not_start_say_why(said, why, monkeypatch):
    def refused(*args, **options):
        raise RuntimeError("Failed to update the deployments ['m'].")

    deployments = {} if said is None else {"Replica": SimpleNamespace(message=said)}
    status = SimpleNamespace(applications={"m": SimpleNamespace(deployments=deployments)})
    taken_down = []
    monkeypatch.setattr(deployment, "start", lambda: None)
    monkeypatch.setattr(deployment, "model_application", lambda section, run_id: None)
    monkeypatch.setattr(deployment, "waiting", lambda *args, **options: nullcontext())
    monkeypatch.setattr(
        deployment,
        "serve",
        SimpleNamespace(
            run=refused, status=lambda: status, delete=lambda name, _blocking: taken_down.append(name)
        ),
    )
    with pytest.raises(ServingError, match=why):
        deploy(ServedModelSection(name="m", model="m"))
    assert taken_down == ["m"]
