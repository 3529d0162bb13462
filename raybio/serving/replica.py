"""One replica: it holds a tagger, makes batches of what waits, by words, and measures.

Requests that arrive while the model works gather, and go to it together when it is free: up to
`max_batch_words` words, in the order of arrival. So batches grow with the load by themselves, and an
idle replica answers at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

from ray import serve

from raybio.config import ServedModelSection
from raybio.entities import Sentence
from raybio.errors import TaggingError
from raybio.model_sources import model_folder
from raybio.serving.answers import Answer
from raybio.serving.metrics import ReplicaMetrics
from raybio.taggers import Tagger, Tags, load_tagger
from raybio.taggers.card import kind_of

logger = logging.getLogger("ray.serve")

Tagged: TypeAlias = "tuple[Tags, ...] | TaggingError"

MOST_FAILED_BATCHES = 8
"""Batches in a row in which every request failed, before a replica counts as broken.

A text that a model fails on is rare: even where one in ten were, eight alone in their batches would
follow each other once in a hundred million. A GPU that is gone fails on all. A guess on the side of
patience, since a replica that is replaced answers nobody while its successor loads.
"""


@dataclass(frozen=True, slots=True)
class _Request:
    sentences: tuple[Sentence, ...]
    words: int
    """At most a whole batch: `serve.batch` refuses what is larger."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one request of a batch, and the batch's own figures."""

    tagged: Tagged
    seconds: float
    requests: int
    sentences: int


class Replica:
    """The class that Ray Serve deploys; see the module."""

    def __init__(self, section: ServedModelSection, run_id: str) -> None:
        self._section = section
        self._name = serve.get_replica_context().replica_id.unique_id
        self._said = {"run_id": run_id, "model": section.name}
        # Torch keeps a team of computing threads for each thread that calls it: so there is one.
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        started = time.perf_counter()
        self._kind, self._tagger = self._model_thread.submit(load, section).result()
        self._said_loaded(time.perf_counter() - started)
        self._metrics = ReplicaMetrics(section.name)
        self._batched = serve.batch(
            max_batch_size=section.max_batch_words,
            batch_wait_timeout_s=section.batch_wait_ms / 1000,
            batch_size_fn=_words,
        )(self._tag_batch)
        self._free = asyncio.Event()
        self._free.set()
        self._inside = 0
        self._busy_since: float | None = None
        self._failed_batches = 0

    async def tag(self, sentences: Sequence[Sentence]) -> AsyncIterator[Answer]:
        """Yield one answer: the tags of each sentence, in order.

        Raises:
            TaggingError: the model failed on this request; others of its batch have their answers.
        """
        arrived = time.perf_counter()
        words = min(sum(map(len, sentences)), self._section.max_batch_words)
        done = await self._in_a_batch(_Request(tuple(sentences), words))
        if isinstance(done.tagged, TaggingError):
            self._metrics.rejected(sentences)
            logger.warning(str(done.tagged), extra=self._said)
            raise done.tagged
        seconds = time.perf_counter() - arrived
        self._metrics.answered(sentences, done.tagged, seconds)
        yield Answer(done.tagged, done.seconds, seconds, done.requests, done.sentences, self._name)

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
                `MOST_FAILED_BATCHES` in a row.
        """
        since, most = self._busy_since, self._section.stuck_after_seconds
        if since is not None and time.perf_counter() - since > most:
            raise RuntimeError(f"the model has been at one batch for more than {most:g} s")
        if self._failed_batches >= MOST_FAILED_BATCHES:
            raise RuntimeError(f"the model failed on all requests of {self._failed_batches} batches in a row")

    async def _in_a_batch(self, request: _Request) -> _Done:
        # `serve.batch` makes up its batches while the model is still at another, of whatever is there by
        # then. What waits here meanwhile comes to it at once, when the model is free, and fills them.
        await self._free.wait()
        self._inside += 1
        try:
            return await self._batched(request)
        finally:
            self._inside -= 1
            if not self._inside:
                self._free.set()

    async def _tag_batch(self, requests: list[_Request]) -> list[_Done]:
        self._free.clear()
        self._busy_since = started = time.perf_counter()
        loop = asyncio.get_running_loop()
        sentences = [request.sentences for request in requests]
        try:
            tagged = await loop.run_in_executor(self._model_thread, tag_requests, self._tagger, sentences)
        finally:
            self._busy_since = None
        failed = all(isinstance(each, TaggingError) for each in tagged)
        self._failed_batches = self._failed_batches + 1 if failed else 0
        seconds = time.perf_counter() - started
        self._metrics.batch(sum(len(s) for group in sentences for s in group), seconds)
        count = sum(map(len, sentences))
        return [_Done(each, seconds, len(requests), count) for each in tagged]

    def _said_loaded(self, seconds: float) -> None:
        figures = {"kind": self._kind, "seconds": round(seconds, 3), **self._said}
        logger.info(f"model {self._section.name} is loaded", extra=figures)


def load(section: ServedModelSection, **options: Any) -> tuple[str, Tagger]:
    """Load the model of `section`; return its kind ("encoder", "decoder" or "cascade") and its tagger.

    `options` are more of `load_tagger`'s.

    Raises:
        ModelError: there is no such model, or not at this precision.
    """
    folder = model_folder(section.model, allow_pickle=section.allow_pickle)
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
        return _tag_together(tagger, requests)
    except Exception as error:  # a tagger may fail in any way
        if len(requests) == 1:
            return [TaggingError(f"the model failed on this text: {type(error).__name__}: {error}")]
    return [tagged for request in requests for tagged in tag_requests(tagger, [request])]


def _tag_together(tagger: Tagger, requests: Sequence[Sequence[Sentence]]) -> list[Tagged]:
    results = tagger.tag([sentence for request in requests for sentence in request])
    if len(results) != sum(map(len, requests)):
        raise ValueError("the tagger did not answer to each sentence")
    left = iter(results)
    return [tuple(next(left) for _ in request) for request in requests]


def _words(requests: list[_Request]) -> int:
    return sum(request.words for request in requests)
