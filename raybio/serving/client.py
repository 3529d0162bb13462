"""Asks a deployment, again where asking again helps; tagging the same text twice does no harm."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from ray.exceptions import ObjectLostError, RayActorError, RayTaskError, WorkerCrashedError
from ray.serve.exceptions import DeploymentUnavailableError, ReplicaUnavailableError

from raybio.entities import Sentence
from raybio.errors import OverloadedError, ServingError, TaggingError
from raybio.serving.answers import Answer, Served

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentResponseGenerator

    from raybio.serving.deployment import Handle

    Stream: TypeAlias = DeploymentResponseGenerator[Answer]

_DIED = (RayActorError, ObjectLostError, ReplicaUnavailableError, WorkerCrashedError)
"""What a request fails with whose replica died: Ray Serve does not send it to another by itself."""


class Client:
    """Asks the deployment behind `handle`, and asks again up to `retries` times.

    It waits `backoff_seconds` before the first time, twice as long before each next, more or less by
    chance so that many clients do not come back at once. A client that is not `patient` does not ask
    again where too many requests wait: it says so at once. With `seconds_allowed`, a request that could
    not be answered in so many seconds counts as one too many. `retried` is called each time before it asks
    again, so that who counts knows of requests too that are never answered.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        retries: int = 3,
        backoff_seconds: float = 0.1,
        patient: bool = True,
        seconds_allowed: float | None = None,
        retried: Callable[[], None] = lambda: None,
    ) -> None:
        self._handle = handle
        self._retries = retries
        self._backoff = backoff_seconds
        self._patient = patient
        self._seconds_allowed = seconds_allowed
        self._retried = retried

    async def tag(self, sentences: Sequence[Sentence]) -> Served:
        """Return the answer to `sentences`, with the seconds and the retries that it took.

        Raises:
            OverloadedError: too many requests wait, or it would take too long.
            TaggingError: the model failed on these sentences.
            ServingError: the model is down, or its replicas died each time.
        """
        started = time.perf_counter()
        retries = 0
        while True:
            stream = cast("Stream", self._handle.tag.remote(tuple(sentences), self._seconds_allowed))
            try:
                (answer,) = [answer async for answer in stream]
                return Served(answer, time.perf_counter() - started, retries)
            except asyncio.CancelledError:
                # Else it would keep its place before the model, for nobody.
                stream.cancel()
                raise
            except DeploymentUnavailableError as error:
                raise ServingError(f"the model is down: {error.message}", retries=retries) from error
            except _DIED as error:
                if retries == self._retries:
                    raise ServingError(
                        f"the model's replica died {retries + 1} times on this request: "
                        f"{type(error).__name__}",
                        retries=retries,
                    ) from error
            except Exception as error:
                # What the replica raised: itself where values travel over gRPC, else within Ray's own.
                cause = error.cause if isinstance(error, RayTaskError) else error
                overloaded = isinstance(cause, OverloadedError)
                if not overloaded or not self._patient or retries == self._retries:
                    raise _reported(cause, retries) from error
            await asyncio.sleep(self._backoff * 2**retries * random.uniform(0.5, 1.5))  # noqa: S311
            retries += 1
            self._retried()


def _reported(cause: BaseException, retries: int) -> ServingError:
    if isinstance(cause, OverloadedError):
        return OverloadedError(str(cause), retries=retries, retry_after=cause.retry_after)
    if isinstance(cause, TaggingError):
        return TaggingError(str(cause), retries=retries)
    return ServingError(f"the model's replica failed: {type(cause).__name__}: {cause}", retries=retries)
