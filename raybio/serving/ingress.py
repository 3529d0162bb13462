"""The HTTP interface as a deployment of its own, and `raybio serve`: all of it up, until it is stopped."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import ValidationError
from ray import serve
from ray.serve import Application, Deployment
from ray.serve._private.logging_utils import get_serve_logs_dir

from raybio import stopping
from raybio.cluster import connected, joins_a_cluster
from raybio.config import LimitsSection, ServeConfig
from raybio.errors import ServingError, UsageError
from raybio.run_folder import timestamp
from raybio.serving.app import create_app
from raybio.serving.deployed_model import DeployedModel
from raybio.serving.deployment import (
    DRAIN_POLL_SECONDS,
    LOGGING,
    ONE_LOOP,
    UNBOUNDED_REQUESTS,
    deploy,
    described,
    handle_of,
    settle_serve,
    start,
    states,
    undeploy,
)
from raybio.serving.http_server import HttpServer
from raybio.serving.schema import HealthResponse

logger = logging.getLogger("ray.serve")

INGRESS = "_http"
"""The interface's application; no model can be called that."""

# Where one reaches what listens on every address.
_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_ANSWER_SECONDS = 30
_MAX_ANSWER_BYTES = 1 << 20
# What it takes to stop Serve and its cluster once no request is in flight.
_PUT_AWAY_SECONDS = 30


class Ingress:
    """What Ray Serve builds the interface from; the models, of which `infos` tells, are there already."""

    def __init__(
        self,
        infos: Sequence[Mapping[str, Any]],
        limits: LimitsSection,
        run_id: str,
        allowed_hosts: Sequence[str] = (),
    ) -> None:
        self._limits = limits
        self._run_id = run_id
        self._allowed_hosts = allowed_hosts
        self._asking: asyncio.Future[dict[str, str]] | None = None
        self._asking_thread = ThreadPoolExecutor(1, thread_name_prefix="states")
        self._models = {
            info["name"]: DeployedModel(info, handle_of(info["name"]), run_id, limits.request_timeout_s)
            for info in infos
        }

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._models, self._limits, self._states, self._run_id, self._allowed_hosts)

    async def _states(self) -> Mapping[str, str]:
        # Those who ask at the same time share one answer, and the thread is no one else's: a thousand of
        # them, or long texts, do not keep anyone from learning how the models are.
        if self._asking is None or self._asking.done():
            loop = asyncio.get_running_loop()
            self._asking = loop.run_in_executor(self._asking_thread, states, list(self._models))
        return await asyncio.shield(self._asking)


class ListeningIngress(Ingress):
    """The interface with an HTTP server of its own, on the machine that it runs on."""

    def __init__(
        self,
        infos: Sequence[Mapping[str, Any]],
        limits: LimitsSection,
        run_id: str,
        allowed_hosts: Sequence[str],
        host: str,
        port: int,
    ) -> None:
        super().__init__(infos, limits, run_id, allowed_hosts)
        self._server = HttpServer(self.__serve_build_asgi_app__(), host, port)

    def check_health(self) -> None:
        """Tell Ray Serve to replace this replica where its server has ended."""
        if not self._server.running:
            raise RuntimeError("the HTTP server has ended")

    async def __del__(self) -> None:
        """Finish the requests in flight; Ray Serve waits for it, since it knows of none of them."""
        await self._server.stop()


def new_run_id() -> str:
    """Return what tells the lines of one start from those of every other in the logs."""
    return f"{timestamp()}-{secrets.token_hex(3)}"


@contextmanager
def served(config: ServeConfig, progress: Callable[[str], None]) -> Iterator[str]:
    """Serve what `config` says for the length of a `with` block, which has the address.

    At its end the interface goes first, then the models, each when its requests in flight are answered.

    Raises:
        UsageError: the port is taken.
        ModelError: there is no such model.
        ServingError: a model did not start, or the interface cannot be reached.
    """
    run_id = new_run_id()
    host = _REACHED_AT.get(config.host, config.host)
    address = f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"
    with connected():
        settle_serve()
        if not serve.status().applications:
            # One that is left over keeps the address it was started with, or has none.
            serve.shutdown()
            _check_port(config)
        up: list[str] = []
        try:
            # On a cluster each machine has a proxy of Ray Serve's, wherever the interface is.
            start({"host": config.host, "port": config.port} if joins_a_cluster() else None)
            infos = []
            for section in config.models:
                progress(f"starting {section.name}: {section.model}")
                up.append(section.name)
                deploy(section, run_id=run_id)
                infos.append(described(section.name))
            up.append(INGRESS)
            allowed_hosts = (config.host, *config.allowed_hosts)
            if joins_a_cluster():
                interface = interface_application(
                    Ingress, infos, config.limits, run_id, config.ingress_replicas, allowed_hosts
                )
                serve.run(interface, name=INGRESS, route_prefix="/")
            else:
                interface = _listening_application(infos, config, run_id, allowed_hosts)
                serve.run(interface, name=INGRESS, route_prefix=None)
            _check_answer(host, config.port)
            progress(f"run {run_id}: logs in {get_serve_logs_dir()}")
            yield address
        finally:
            progress("stopping: requests in flight are answered first")
            for name in reversed(up):
                # A cluster that stays sees to it alone; whoever was submitted to it has little time.
                undeploy(name, wait=not joins_a_cluster())
            if not serve.status().applications:
                serve.shutdown()


def serve_models(config: ServeConfig, progress: Callable[[str], None] = print) -> None:
    """Serve what `config` says until it is stopped; requests in flight then are answered first.

    Raises:
        RaybioError: as `served` has it.
        KeyboardInterrupt: it was stopped.
    """
    # Ours alone to end, unless it was submitted to a cluster.
    draining = sum(model.graceful_shutdown_timeout_s for model in config.models) + _PUT_AWAY_SECONDS
    seconds = stopping.SECONDS if joins_a_cluster() else draining
    with (
        stopping.time_to_stop(seconds),
        stopping.resume_hint("The same command serves again"),
        served(config, progress) as address,
    ):
        progress(f"serving {', '.join(m.name for m in config.models)} at {address} (stop: Ctrl-C)")
        threading.Event().wait()


def interface_application(
    ingress: type[Ingress],
    models: Sequence[Any],
    limits: LimitsSection,
    run_id: str,
    replicas: int = 1,
    allowed_hosts: Sequence[str] = (),
) -> Application:
    """Return the interface as an application that Serve can run.

    `ingress` is made of `models`, `limits`, `run_id` and `allowed_hosts`.
    """
    return _deployment(serve.ingress()(ingress), replicas).bind(models, limits, run_id, allowed_hosts)


def _listening_application(
    infos: Sequence[Mapping[str, Any]], config: ServeConfig, run_id: str, allowed_hosts: Sequence[str]
) -> Application:
    deployment = _deployment(ListeningIngress, config.ingress_replicas, **ONE_LOOP)
    return deployment.bind(infos, config.limits, run_id, allowed_hosts, config.host, config.port)


def _deployment(interface: type[Any], replicas: int, **environment: Any) -> Deployment:
    return serve.deployment(
        name=INGRESS,
        num_replicas=replicas,
        # It waits far more than it computes; on a small machine the models hold all the CPUs.
        ray_actor_options={"num_cpus": 0, "runtime_env": environment},
        max_ongoing_requests=UNBOUNDED_REQUESTS,
        graceful_shutdown_wait_loop_s=DRAIN_POLL_SECONDS,
        logging_config=LOGGING,
    )(interface)


def _check_port(config: ServeConfig) -> None:
    """Say at once that a port is taken: Serve's own complaint comes late, and is long."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        with socket.create_server((config.host, config.port), family=family):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror}. Choose another with port=NUMBER"
        ) from error


def _check_answer(host: str, port: int) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    remedy = (
        "Where Ray Serve has other applications on this cluster, it keeps its address: "
        "set host and port to that"
    )
    try:
        connection.request("GET", "/health")
        found = json.loads(connection.getresponse().read(_MAX_ANSWER_BYTES))
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        message = f"the interface does not answer at {host}, port {port}: {error}. {remedy}"
        raise ServingError(message) from error
    finally:
        connection.close()
    try:
        health = HealthResponse.model_validate(found)
    except ValidationError as error:
        message = f"another application answers at {host}, port {port}. {remedy}"
        raise ServingError(message) from error
    if health.status != "ok":
        raise ServingError(f"not every model is running: {health.models}")
