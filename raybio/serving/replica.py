"""One replica: it holds a tagger, batches the requests that wait for it, and measures.

Requests wait here, and not in Ray Serve's router, which looks for a free replica again only after
pauses of up to a second: with more requests than a replica may hold, it has nothing to do meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

from ray import serve

from raybio.config import ServedModelSection
from raybio.entities import Sentence
from raybio.errors import TaggingError
from raybio.model_sources import ModelReference
from raybio.serving.answers import Answer
from raybio.serving.batcher import Batcher, Tagged
from raybio.serving.metrics import ReplicaMetrics
from raybio.taggers import Tagger, load_tagger
from raybio.taggers.card import kind_of

logger = logging.getLogger("ray.serve")

MAX_FAILED_BATCHES = 8
"""Batches in a row in which every request failed, before the model is given a request that it tagged before.

If it fails on that too, the replica counts as broken and is replaced. A GPU that is gone fails on
everything; a healthy model fails on a rare text only, which a client may send again and again.
"""

PROBE = Sentence("probe", ("Aspirin", "reduces", "fever", "."), (0, 8, 16, 21), "probe")
"""What a model is given that has not answered anything yet, to see whether it is broken."""


class Replica:
    """The class that Ray Serve deploys; see the module."""

    def __init__(self, section: ServedModelSection, model: ModelReference, run_id: str) -> None:
        self._section = section
        self._name = serve.get_replica_context().replica_id.unique_id
        self._log_fields = {"run_id": run_id, "model": section.name}
        # Torch keeps a team of computing threads for each thread that calls it: so there is one.
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        started = time.perf_counter()
        self._kind, self._tagger = self._model_thread.submit(load, section, model).result()
        seconds = round(time.perf_counter() - started, 3)
        logger.info(
            f"model {section.name} is loaded",
            extra={"kind": self._kind, "seconds": seconds, **self._log_fields},
        )
        self._metrics = ReplicaMetrics(section.name, self._tagger.labels)
        self._batcher = Batcher(
            self._tag_batch,
            max_words=section.max_batch_words,
            max_requests=section.max_ongoing_requests,
            wait_seconds=section.batch_wait_ms / 1000,
        )
        self._busy_since: float | None = None
        self._failed_batches = 0
        self._probe: Sequence[Sentence] = [PROBE]

    async def tag(
        self, sentences: Sequence[Sentence], seconds_allowed: float | None = None
    ) -> AsyncIterator[Answer]:
        """Yield one answer: the tags of each sentence, in order.

        Raises:
            OverloadedError: `max_ongoing_requests` are here already, or what waits here already takes so
                long that there would be no answer within `seconds_allowed`.
            TaggingError: the model failed on this request; others of its batch have their answers.
        """
        arrived = time.perf_counter()
        try:
            batched = await self._batcher.tag(sentences, seconds_allowed)
        except TaggingError as error:
            self._metrics.rejected(sentences)
            logger.warning(str(error), extra=self._log_fields)
            raise
        seconds = time.perf_counter() - arrived
        self._metrics.answered(sentences, batched.tags, seconds)
        yield Answer(
            batched.tags,
            batched.model_seconds,
            seconds,
            batched.batch_requests,
            batched.batch_size,
            self._name,
        )

    def describe(self) -> dict[str, Any]:
        """Return what the interface's `/models` says of the model."""
        section = self._section
        return {
            "name": section.name,
            "kind": self._kind,
            "labels": list(self._tagger.labels),
            "model": section.model,
            "precision": section.precision,
            "mode": None if self._kind == "encoder" else section.decoding.mode,
            "replicas": section.replicas,
        }

    async def check_health(self) -> None:
        """Tell Ray Serve to replace this replica where its model hangs, or fails whatever it is asked.

        Raises:
            RuntimeError: the model has been at one batch for too long, or has failed on all requests of
                `MAX_FAILED_BATCHES` in a row and on one that it can tag.
        """
        since, most = self._busy_since, self._section.batch_timeout_s
        if since is not None and time.perf_counter() - since > most:
            raise RuntimeError(f"the model has been at one batch for more than {most:g} s")
        if self._failed_batches >= MAX_FAILED_BATCHES:
            raise RuntimeError(
                f"the model failed on all requests of {self._failed_batches} batches in a row, and on one "
                "that it should be able to tag"
            )

    async def _tag_batch(self, requests: Sequence[Sequence[Sentence]]) -> Sequence[Tagged]:
        self._busy_since = started = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(self._model_thread, self._tag_and_probe, requests)
        finally:
            self._busy_since = None
        self._metrics.batch(sum(map(len, chain(*requests))), time.perf_counter() - started)
        return outcomes

    def _tag_and_probe(self, requests: Sequence[Sequence[Sentence]]) -> Sequence[Tagged]:
        """Tag requests; where only failures have been seen for long, see whether the model is at fault."""
        outcomes = tag_requests(self._tagger, requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            if not isinstance(outcome, TaggingError):
                self._failed_batches = 0
                self._probe = request
                return outcomes
        self._failed_batches += 1
        if self._failed_batches >= MAX_FAILED_BATCHES:
            (outcome,) = tag_requests(self._tagger, [self._probe])
            if not isinstance(outcome, TaggingError):
                self._failed_batches = 0
        return outcomes


def load(section: ServedModelSection, model: ModelReference, **options: Any) -> tuple[str, Tagger]:
    """Load the model of `section`; return its kind ("encoder", "decoder" or "cascade") and its tagger.

    `options` are more of `load_tagger`'s.

    Raises:
        ModelError: this node cannot get the model, or not at this precision.
    """
    folder = model.folder()
    tagger = load_tagger(
        folder,
        precision=section.precision,
        threads=section.computing_threads,
        decoding=section.decoding.asked(),
        labels=section.model_labels,
        **options,
    )
    return "cascade" if (folder / "cascade.json").is_file() else kind_of(folder), tagger


def tag_requests(tagger: Tagger, requests: Sequence[Sequence[Sentence]]) -> list[Tagged]:
    """Tag the sentences of several requests together; return the tags of each request.

    Where that fails, each request is tagged alone, so that only the one to blame has the error.
    """
    try:
        results = tagger.tag([sentence for request in requests for sentence in request])
        if len(results) != sum(map(len, requests)):
            raise ValueError("the tagger did not answer to each sentence")
        left = iter(results)
        return [tuple(next(left) for _ in request) for request in requests]
    except Exception as error:  # a tagger may fail in any way
        if len(requests) == 1:
            return [TaggingError(f"the model failed on this text: {type(error).__name__}: {error}")]
    return [tagged for request in requests for tagged in tag_requests(tagger, [request])]
