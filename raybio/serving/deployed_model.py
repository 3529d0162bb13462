"""A model behind a handle, as the interface sees it: refusals are remembered, and failures counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from raybio.entities import Sentence
from raybio.errors import OverloadedError, ServingError
from raybio.serving.answers import Served
from raybio.serving.client import Client
from raybio.serving.deployment import Handle
from raybio.serving.metrics import ClientMetrics

logger = logging.getLogger("ray.serve")

_MAX_CLOSED_SECONDS = 1.0
"""After a refusal a model is asked again at the latest after so long: replicas come and go."""


class DeployedModel:
    """A model behind a handle, as the interface sees it; counts requests that are not answered.

    A replica refuses what it cannot answer within `seconds_allowed`. Until there may be room again,
    requests as long as that are refused here: a refusal that costs the replica nothing.
    """

    def __init__(
        self, info: Mapping[str, Any], handle: Handle, run_id: str, seconds_allowed: float | None = None
    ) -> None:
        self.info = info
        self._metrics = ClientMetrics(info["name"])
        # Waiting is the business of who asked: over HTTP that is 503 with Retry-After.
        self._client = Client(
            handle, patient=False, seconds_allowed=seconds_allowed, retried=self._metrics.retried
        )
        self._refusal: OverloadedError | None = None
        self._refused_words = 0
        self._refused_until = 0.0
        self._log_fields = {"run_id": run_id, "model": info["name"]}

    async def tag(self, sentences: Sequence[Sentence]) -> Served:
        """Return the tags of each sentence, in order.

        Raises:
            ServingError: as `Client.tag` has it.
        """
        words = sum(map(len, sentences))
        try:
            self._refuse_again(words)
            served = await self._client.tag(sentences)
        except OverloadedError as error:
            self._metrics.overloaded()
            self._remember(error, words)
            raise
        except ServingError as error:
            self._metrics.failed()
            logger.error(str(error), extra=self._log_fields)
            raise
        except asyncio.CancelledError:
            # Whoever asked has left, or has the answer that it took more than `limits.request_timeout_s`.
            self._metrics.failed()
            logger.error("no answer while it was waited for", extra=self._log_fields)
            raise
        if served.retries:
            logger.warning(f"answered after {served.retries} retries", extra=self._log_fields)
        return served

    def _refuse_again(self, words: int) -> None:
        left = self._refused_until - time.perf_counter()
        if self._refusal and left > 0 and words >= self._refused_words:
            raise OverloadedError(str(self._refusal), retry_after=self._refusal.retry_after)

    def _remember(self, error: OverloadedError, words: int) -> None:
        if self._refused_until < time.perf_counter() or words < self._refused_words:
            self._refusal, self._refused_words = error, words
            self._refused_until = time.perf_counter() + min(error.retry_after, _MAX_CLOSED_SECONDS)
