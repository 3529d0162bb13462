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
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from pydantic import ValidationError
from ray import serve
from ray.serve import Application, Deployment
from ray.serve._private.logging_utils import get_serve_logs_dir

from raybio import stopping
from raybio.cluster import connected
from raybio.config import LimitsSection, ServeConfig
from raybio.errors import ServingError, UsageError
from raybio.joining import joins_a_cluster
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

_ANSWER_SECONDS = 30
_MAX_ANSWER_BYTES = 1 << 20
# What it takes to stop Serve and its cluster once no request is in flight.
_PUT_AWAY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Address:
    """Where the interface listens."""

    host: str
    port: int

    @property
    def reached_at(self) -> str:
        """The host that one asks: of those that stand for every address, this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """The address as one types it."""
        host = self.reached_at
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def check_free(self) -> None:
        """Say at once that a port is taken: Serve's own complaint comes late, and is long.

        Raises:
            UsageError: it is.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.create_server((self.host, self.port), family=family):
                pass
        except OSError as error:
            raise UsageError(
                f"cannot listen on {self.host}:{self.port}: {error.strerror}. Choose another with port=NUMBER"
            ) from error

    def check_answer(self) -> None:
        """Make sure that it is the interface that answers here, and that every model is running.

        Raises:
            ServingError: it is not.
        """
        place = f"{self.reached_at}, port {self.port}"
        connection = http.client.HTTPConnection(self.reached_at, self.port, timeout=_ANSWER_SECONDS)
        remedy = (
            "Where Ray Serve has other applications on this cluster, it keeps its address: "
            "set host and port to that"
        )
        try:
            connection.request("GET", "/health")
            found = json.loads(connection.getresponse().read(_MAX_ANSWER_BYTES))
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            raise ServingError(f"the interface does not answer at {place}: {error}. {remedy}") from error
        finally:
            connection.close()
        try:
            health = HealthResponse.model_validate(found)
        except ValidationError as error:
            raise ServingError(f"another application answers at {place}. {remedy}") from error
        if health.status != "ok":
            raise ServingError(f"not every model is running: {health.models}")


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
        address: Address,
    ) -> None:
        super().__init__(infos, limits, run_id, allowed_hosts)
        self._server = HttpServer(self.__serve_build_asgi_app__(), address.host, address.port)

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
    run_id, address = new_run_id(), Address(config.host, config.port)
    allowed_hosts = (config.host, *config.allowed_hosts)
    with connected():
        settle_serve()
        if not serve.status().applications:
            # One that is left over keeps the address it was started with, or has none.
            serve.shutdown()
            address.check_free()
        up: list[str] = []
        try:
            # On a cluster each machine has a proxy of Ray Serve's, wherever the interface is.
            start({"host": address.host, "port": address.port} if joins_a_cluster() else None)
            infos = []
            for section in config.models:
                progress(f"starting {section.name}: {section.model}")
                up.append(section.name)
                deploy(section, run_id=run_id, progress=progress)
                infos.append(described(section.name))
            up.append(INGRESS)
            replicas, made_of = config.ingress_replicas, (infos, config.limits, run_id, allowed_hosts)
            if joins_a_cluster():
                serve.run(interface_application(Ingress, *made_of, replicas), name=INGRESS, route_prefix="/")
            else:
                listening = _deployment(ListeningIngress, replicas, **ONE_LOOP).bind(*made_of, address)
                serve.run(listening, name=INGRESS, route_prefix=None)
            address.check_answer()
            progress(f"run {run_id}: logs in {get_serve_logs_dir()}")
            yield address.url
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
        served(config, progress) as url,
    ):
        progress(f"serving {', '.join(m.name for m in config.models)} at {url} (stop: Ctrl-C)")
        threading.Event().wait()


def interface_application(
    ingress: type[Ingress],
    models: Sequence[Any],
    limits: LimitsSection,
    run_id: str,
    allowed_hosts: Sequence[str] = (),
    replicas: int = 1,
) -> Application:
    """Return the interface as an application that Serve's own proxy reaches.

    `ingress` is made of `models`, `limits`, `run_id` and `allowed_hosts`.
    """
    return _deployment(serve.ingress()(ingress), replicas).bind(models, limits, run_id, allowed_hosts)


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
