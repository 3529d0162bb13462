"""Models and the HTTP interface as Ray Serve's own config files name them, KubeRay's RayService among them.

import_path: raybio.serving.applications:model        args: the options of one of `models`, `job: serve`
import_path: raybio.serving.applications:interface    args: models (their names), limits,
    allowed_hosts

Ray Serve starts each application by itself, so each has a `run_id` of its own in its lines of the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.schema import ApplicationStatus

from raybio.config import LimitsSection, ServeConfig, job_of
from raybio.errors import ServingError
from raybio.serving.deployment import described, model_application
from raybio.serving.ingress import Ingress, interface_application, new_run_id

logger = logging.getLogger("ray.serve")

_POLL_SECONDS = 1.0
_LOG_SECONDS = 60.0
_ABSENT_SECONDS = 60.0
"""Applications of one config file are all known at once; one that is not known by then is in none."""


def model(args: Mapping[str, Any]) -> Application:
    """Return a model as an application; its name in the file must be `args["name"]`.

    Raises:
        ConfigError: the options have faults.
        ModelError: there is no such model.
    """
    config = job_of(ServeConfig, {"models": [dict(args)]}, source="args of raybio.serving.applications:model")
    return model_application(config.models[0], new_run_id())


def interface(args: Mapping[str, Any]) -> Application:
    """Return the HTTP interface over the applications that `args["models"]` names."""
    limits = LimitsSection(**args.get("limits", {}))
    hosts = list(args.get("allowed_hosts", []))
    return interface_application(_LateIngress, list(args["models"]), limits, new_run_id(), hosts)


class _LateIngress(Ingress):
    """The interface where models start at the same time: it waits until they tell what they are."""

    def __init__(
        self, names: Sequence[str], limits: LimitsSection, run_id: str, allowed_hosts: Sequence[str] = ()
    ) -> None:
        # Not in the thread of the replica's own loop, where nothing may wait for an answer.
        with ThreadPoolExecutor(1) as thread:
            infos = thread.submit(_describe, names).result()
        super().__init__(infos, limits, run_id, allowed_hosts)


def _describe(names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return what each application says of its model, once all are running.

    Raises:
        ServingError: one of them failed to deploy, or there is none of that name.
    """
    started = time.monotonic()
    logged, logged_at = "", started
    while True:
        waiting = _not_running(names, time.monotonic() - started)
        if not waiting:
            return [described(name) for name in names]
        if waiting != logged or time.monotonic() - logged_at > _LOG_SECONDS:
            logged, logged_at = waiting, time.monotonic()
            logger.warning(f"waiting for {waiting}")
        time.sleep(_POLL_SECONDS)


def _not_running(names: Sequence[str], seconds: float) -> str:
    """Return the applications that are not running, each with its state, after `seconds` of waiting."""
    applications = serve.status().applications
    found = []
    for name in names:
        application = applications.get(name)
        if application is None:
            if seconds > _ABSENT_SECONDS:
                known = ", ".join(applications) or "none"
                raise ServingError(
                    f"there is no application {name!r}; there is: {known}. Correct `models` of the interface"
                )
            found.append(f"{name} (absent)")
        elif application.status == ApplicationStatus.DEPLOY_FAILED:
            remedy = "Deploy it again, and then the interface"
            raise ServingError(f"model {name} failed to deploy: {application.message} {remedy}")
        elif application.status != ApplicationStatus.RUNNING:
            found.append(f"{name} ({application.status.value.lower()})")
    return ", ".join(found)
