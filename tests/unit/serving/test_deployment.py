"""What Ray Serve is given of a model; it starts nothing."""

import pytest
import ray._private.worker as ray_worker

from raybio.config import AutoscalingSection, ServedModelSection
from raybio.serving.deployment import UNBOUNDED_REQUESTS, _options, settle_serve


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


def test_of_what_ray_prints_only_the_calls_to_an_ended_controller_are_left_out(capsys):
    before = ray_worker.print_to_stdstream
    try:
        settle_serve()
        settle_serve()
        printed = ray_worker.print_to_stdstream
        assert printed.__wrapped__ is before
        retried = "There are infinite retries remaining, so the task will be retried. Error: "
        killed = "The actor is dead because it was killed by `ray.kill`."
        for line in (
            f"Task ServeController.listen_for_change failed. {retried}{killed}",
            f"Task ServeController.graceful_shutdown failed. {retried}{killed}",
            f"Task ServeReplica:m.handle failed. {retried}{killed}",
            f"Task ServeController.deploy failed. {retried}The worker died of a lack of memory.",
            "A worker died or was killed while executing a task by an unexpected system error.",
        ):
            printed({"lines": [line], "pid": "raylet", "is_err": False}, ignore_prefix=True)
    finally:
        ray_worker.print_to_stdstream = before
    shown = "".join(capsys.readouterr())
    assert "listen_for_change" not in shown and "graceful_shutdown" not in shown
    assert all(words in shown for words in ("ServeReplica:m.handle", "lack of memory", "unexpected system"))
