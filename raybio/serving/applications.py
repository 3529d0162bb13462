"""Models and the HTTP interface as Ray Serve's own config files name them, KubeRay's RayService among them.

import_path: raybio.serving.applications:model        args: the options of one of `models`, `job: serve`
import_path: raybio.serving.applications:interface    args: models (their names), limits,
    allowed_hosts

Ray Serve starts each application by itself, so each has a `run_id` of its own in its lines of the log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ray.serve import Application

from raybio.config import LimitsSection, ServeConfig, job_of
from raybio.serving.deployment import described, model_application, states
from raybio.serving.ingress import Ingress, interface_application, new_run_id

_POLL_SECONDS = 1.0


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
    return interface_application(
        _LateIngress, list(args["models"]), limits, new_run_id(), allowed_hosts=hosts
    )


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
    while set(states(list(names)).values()) != {"running"}:
        time.sleep(_POLL_SECONDS)
    return [described(name) for name in names]
