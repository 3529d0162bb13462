"""A model as an application of Ray Serve: started, looked after, and taken down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from raybio.config import ServedModelSection
from raybio.errors import ServingError
from raybio.model_sources import ModelReference, model_folder, name_anywhere
from raybio.ray_messages import cause_of, settle_messages
from raybio.serving.replica import Replica
from raybio.taggers import check_tagger
from raybio.waiting import waiting

Handle: TypeAlias = "DeploymentHandle[Any]"

LOGGING = LoggingConfig(encoding="JSON", enable_access_log=False)
"""A line of JSON for each event. There is none for each request: metrics count those."""

DRAIN_POLL_SECONDS = 0.2
"""How often a replica that has to go looks whether it has any request in flight."""

_HEALTH_CHECK_SECONDS = 5.0

UNBOUNDED_REQUESTS = 100_000
"""More requests than there are: Ray Serve's router holds none back.

What it holds back it offers again only after pauses that grow to a second, while replicas have nothing
to do: throughput falls to a tenth (ray 2.60).
"""

ONE_LOOP = {
    "env_vars": {
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    }
}
"""A replica computes in a thread of its own and never in its event loop, so that loop may be Ray Serve's.

As two loops in two threads, each would have to wake the other for every request. The interface computes
little, and what it asks of models goes through the same loop too.
"""


def deploy(
    section: ServedModelSection, *, run_id: str = "", progress: Callable[[str], None] = lambda _: None
) -> Handle:
    """Start the model, or update it, as the Serve application `section.name`; return when it is healthy.

    The handle's `tag.remote(sentences)` gives a stream of one `Answer`; `raybio.serving.client` asks it as
    one should.
    Where Serve does not run yet it is started without HTTP. `run_id` is in every line of the log. What its
    replicas wait for is said to `progress`.

    Raises:
        ModelError: there is no such model, or not one that tags as `section` says.
        ServingError: its replicas do not start; the message has the last one's complaint.
        ClusterError: none has started in `start_timeout_s`, for want of a node.
    """
    start()
    application = model_application(section, run_id)
    shape = {"CPU": section.cpus, "GPU": section.gpus}
    try:
        with waiting(shape, section.start_timeout_s, progress, spot_timeout_s=section.spot_timeout_s):
            serve.run(application, name=section.name, route_prefix=None)
    except RuntimeError as error:
        why = _complaint(section.name) or str(error)
        undeploy(section.name)
        raise ServingError(f"model {section.name} did not start: {why}") from error
    return handle_of(section.name)


def _complaint(name: str) -> str:
    """Return why the replicas of an application do not start, in one line, or "" where none said it."""
    application = serve.status().applications.get(name)
    said = [each.message for each in application.deployments.values()] if application else []
    return next((cause_of(RuntimeError(message)) for message in said if message), "")


def handle_of(name: str) -> Handle:
    """Return the handle that asks the running application `name` to tag."""
    # By value, over gRPC: by reference, through Ray's object store, a request takes twice as long.
    # As a stream, because a replica says at once, in its head, how many requests it has in flight. Of a plain
    # call the head comes with the answer: Ray Serve's router then takes how it was for how it is, and one
    # replica has nothing to do while all wait for another (ray 2.60).
    return serve.get_app_handle(name).options(_by_reference=False, stream=True)


def described(name: str) -> dict[str, Any]:
    """Return what the running application `name` says of its model."""
    said: dict[str, Any] = serve.get_app_handle(name).describe.remote().result()
    return said


def model_application(section: ServedModelSection, run_id: str) -> Application:
    """Return the model as an application that Serve can run.

    Raises:
        ModelError: there is no such model, or not one that tags as `section` says.
    """
    section, model = found_from_anywhere(section)
    return serve.deployment(**_options(section))(Replica).bind(section, model, run_id)


def undeploy(name: str, *, wait: bool = True) -> None:
    """Take the application `name` down; its replicas first finish what they have in flight.

    Nothing happens where there is none of that name. Without `wait` this returns at once, and the
    cluster sees to the rest.
    """
    if name in serve.status().applications:
        serve.delete(name, _blocking=wait)


def settle_serve() -> None:
    """Keep off the terminal what Serve logs of its own doings."""
    # Each step, as INFO.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    settle_messages()


def start(http: dict[str, Any] | None = None) -> None:
    """Start Serve where it does not run yet, with HTTP where options for it are given."""
    settle_serve()
    serve.start(proxy_location="EveryNode" if http else "Disabled", http_options=http, logging_config=LOGGING)


def states(names: list[str]) -> dict[str, str]:
    """Return how each application is: "running", "deploying", "unhealthy", ..., or "absent"."""
    applications = serve.status().applications
    return {
        name: applications[name].status.value.lower() if name in applications else "absent" for name in names
    }


def check_model(section: ServedModelSection) -> None:
    """Make sure that there is such a model, and that it tags as `section` says.

    Raises:
        ModelError: there is none, or not one that does.
    """
    _check_tagger(section, model_folder(section.model, allow_pickle=section.allow_pickle))


def found_from_anywhere(section: ServedModelSection) -> tuple[ServedModelSection, ModelReference]:
    """Return `section` with its folders absolute, and its model: replicas run in other folders and nodes.

    Raises:
        ModelError: as `check_model` has it.
    """
    model = ModelReference.of(section.model, allow_pickle=section.allow_pickle)
    _check_tagger(section, model.folder())
    drafter = section.decoding.draft_model
    decoding = section.decoding.model_copy(update={"draft_model": drafter and name_anywhere(drafter)})
    return section.model_copy(update={"model": model.name, "decoding": decoding}), model


def _check_tagger(section: ServedModelSection, folder: Path) -> None:
    check_tagger(
        folder, precision=section.precision, decoding=section.decoding.asked(), labels=section.model_labels
    )


def _options(section: ServedModelSection) -> dict[str, Any]:
    growing = section.autoscaling
    options: dict[str, Any] = {
        "name": section.name,
        "ray_actor_options": {"num_cpus": section.cpus, "num_gpus": section.gpus, "runtime_env": ONE_LOOP},
        # Replicas refuse what is more than their own `max_ongoing_requests`: nothing may wait in the router.
        "max_ongoing_requests": UNBOUNDED_REQUESTS,
        "graceful_shutdown_timeout_s": section.graceful_shutdown_timeout_s,
        "graceful_shutdown_wait_loop_s": DRAIN_POLL_SECONDS,
        "health_check_period_s": _HEALTH_CHECK_SECONDS,
        "logging_config": LOGGING,
        # What fails to load fails again.
        "max_constructor_retry_count": 1,
    }
    if growing.max_replicas is None:
        return {**options, "num_replicas": section.replicas}
    scale = {
        "min_replicas": section.replicas,
        "max_replicas": growing.max_replicas,
        "target_ongoing_requests": growing.target_ongoing_requests,
        "upscale_delay_s": growing.upscale_delay_s,
        "downscale_delay_s": growing.downscale_delay_s,
    }
    return {**options, "autoscaling_config": scale}
