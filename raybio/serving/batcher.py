"""Lets requests wait and gives them to one model in batches, in turns; it knows nothing of Ray.

Requests that arrive while the model works gather, and go to it together when it is free: up to
`max_words` words. So batches grow with the load by themselves, and an idle model answers at once.

Requests take turns in the order of arrival. One of more than `max_words` words is cut between
sentences: each turn it gives one batch at most, and then waits behind all the others. One that fits
into a batch is never cut. A request whose caller stopped waiting is dropped: only what the model has
begun is finished.

A request that cannot be answered in the time allowed is refused at once. How long it would take follows
from the words that wait and from the speed of the latest full batches.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from raybio.entities import Sentence
from raybio.errors import OverloadedError, TaggingError
from raybio.taggers import Tags

Tagged: TypeAlias = "tuple[Tags, ...] | TaggingError"
TagBatch: TypeAlias = "Callable[[Sequence[Sequence[Sentence]]], Awaitable[Sequence[Tagged]]]"
"""Tags the sentences of several requests together; gives the outcome of each."""


_TIME_TO_SPARE = 0.25
"""Part of the time allowed that an estimate leaves: batches differ, and an answer has a way back."""

_MEMORY = 0.9
"""Weight of each full batch in the measured speed, relative to the next: the last ten count most."""


@dataclass(frozen=True, slots=True)
class Batched:
    """The tags of one request, and figures of the batches that it was in."""

    tags: tuple[Tags, ...]
    model_seconds: float
    """Wall time of the model on all of them."""
    batch_requests: int
    """Requests in the largest."""
    batch_size: int
    """Sentences in the largest."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request, and how far it has been tagged."""

    sentences: tuple[Sentence, ...]
    words_left: int
    answer: asyncio.Future[Batched]
    whole: bool
    """It fits into one batch."""
    tags: list[Tags] = field(default_factory=list)
    model_seconds: float = 0.0
    batch_requests: int = 0
    batch_size: int = 0

    def next_piece(self, room: int) -> tuple[Sentence, ...]:
        """Return the next sentences for a batch with room for `room` words; none where they do not fit."""
        if self.whole:
            return self.sentences if self.words_left <= room else ()
        start = end = len(self.tags)
        while end < len(self.sentences) and room >= len(self.sentences[end]):
            room -= len(self.sentences[end])
            end += 1
        return self.sentences[start:end]


_Batch: TypeAlias = list[tuple[_Waiting, tuple[Sentence, ...]]]


class Batcher:
    """Batches the requests of one event loop for `tag_batch`, which is never called twice at a time.

    A batch has at most `max_words` words, unless it is a single sentence that is longer. At most
    `max_requests` requests may be without an answer. An idle model waits up to `wait_seconds` for more
    requests after the first.
    """

    def __init__(
        self,
        tag_batch: TagBatch,
        *,
        max_words: int,
        max_requests: int,
        wait_seconds: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._tag_batch = tag_batch
        self._max_words = max_words
        self._max_requests = max_requests
        self._wait_seconds = wait_seconds
        self._clock = clock
        # In the order of their turns. Dicts, since a request that is given up leaves from anywhere.
        self._waiting: dict[_Waiting, None] = {}
        self._cut: dict[_Waiting, None] = {}
        self._words_left = 0
        # Words and seconds of the latest full batches, older ones with less weight. Others say little:
        # most of the time of a batch of three words has nothing to do with their number.
        self._full_words = self._full_seconds = 0.0
        self._enough = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def tag(self, sentences: Sequence[Sentence], seconds_allowed: float | None = None) -> Batched:
        """Return the tags of each sentence, in order.

        Raises:
            OverloadedError: too many requests wait, or an answer would take more than `seconds_allowed`.
            TaggingError: the model failed on this request; others of its batch have their answers.
        """
        if not sentences:
            return Batched((), 0.0, 0, 0)
        words = sum(map(len, sentences))
        self._check_room(words, seconds_allowed)
        answer: asyncio.Future[Batched] = asyncio.get_running_loop().create_future()
        request = _Waiting(tuple(sentences), words, answer, words <= self._max_words)
        self._enter(request)
        if self._words_left >= self._max_words:
            self._enough.set()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        try:
            return await answer
        finally:
            self._leave(request)

    def estimate(self, words: int) -> float | None:
        """Return the seconds until a request of `words` words would be answered; None while not known.

        Before its last turn, each request that waits has had as many turns.
        """
        if not self._full_words:
            return None
        most = -(-words // self._max_words) * self._max_words
        later = sum(max(0, request.words_left - most) for request in self._cut)
        return (self._words_left - later + words) * self._full_seconds / self._full_words

    def _check_room(self, words: int, seconds_allowed: float | None) -> None:
        if len(self._waiting) >= self._max_requests:
            # Some will have been answered after one batch, of whatever size.
            speed = self._full_words / self._full_seconds if self._full_words else math.inf
            room_after = min(self._words_left, self._max_words) / speed
            raise OverloadedError(
                f"{len(self._waiting):,} requests wait for this model", retry_after=room_after
            )
        needed = self.estimate(words)
        if seconds_allowed is None or needed is None:
            return
        late = needed - seconds_allowed * (1 - _TIME_TO_SPARE)
        if late > 0:
            alone = words * self._full_seconds / self._full_words
            raise OverloadedError(
                f"an answer would take about {needed:.0f} s, {alone:.0f} s of them for this request; "
                f"{seconds_allowed:g} s are allowed",
                retry_after=late,
            )

    async def _work(self) -> None:
        try:
            if self._wait_seconds and self._words_left < self._max_words:
                self._enough.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._enough.wait(), self._wait_seconds)
            started = self._clock()
            while self._waiting:
                batch = self._next_batch()
                await self._answer(batch)
                # Requests that have arrived meanwhile are let in before the next batch is made up.
                await asyncio.sleep(0)
                # What a batch costs beside the model counts too.
                ended = self._clock()
                self._measure(sum(len(s) for _, piece in batch for s in piece), ended - started)
                started = ended
        finally:
            self._worker = None

    def _next_batch(self) -> _Batch:
        batch: _Batch = []
        room = self._max_words
        for request in self._waiting:
            piece = request.next_piece(room)
            if not piece and not batch:  # a sentence longer than a batch
                piece = request.sentences[len(request.tags) :][:1]
            if not piece:
                break
            batch.append((request, piece))
            room -= sum(map(len, piece))
        return batch

    async def _answer(self, batch: _Batch) -> None:
        started = self._clock()
        try:
            outcomes = await self._tag_batch([piece for _, piece in batch])
        except Exception as error:  # whatever it is, nobody may wait forever
            outcomes = [TaggingError(f"{type(error).__name__}: {error}") for _ in batch]
        seconds = self._clock() - started
        sentences = sum(len(piece) for _, piece in batch)
        for (request, piece), outcome in zip(batch, outcomes, strict=True):
            if request.answer.done():  # given up meanwhile
                continue
            self._leave(request)
            if isinstance(outcome, TaggingError):
                request.answer.set_exception(outcome)
                continue
            request.tags.extend(outcome)
            request.words_left -= sum(map(len, piece))
            request.model_seconds += seconds
            request.batch_requests = max(request.batch_requests, len(batch))
            request.batch_size = max(request.batch_size, sentences)
            if len(request.tags) < len(request.sentences):
                self._enter(request)  # behind all the others
            else:
                request.answer.set_result(
                    Batched(
                        tuple(request.tags), request.model_seconds, request.batch_requests, request.batch_size
                    )
                )

    def _measure(self, words: int, seconds: float) -> None:
        if 2 * words >= self._max_words:
            self._full_words = self._full_words * _MEMORY + words
            self._full_seconds = self._full_seconds * _MEMORY + seconds

    def _enter(self, request: _Waiting) -> None:
        self._waiting[request] = None
        if not request.whole:
            self._cut[request] = None
        self._words_left += request.words_left

    def _leave(self, request: _Waiting) -> None:
        if request in self._waiting:
            del self._waiting[request]
            self._cut.pop(request, None)
            self._words_left -= request.words_left
