"""A served model that is none: it answers late, stalls or fails as a test wants it to; and a handle."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace

from ray.exceptions import RayTaskError

from raybio.entities import Sentence
from raybio.errors import ServingError
from raybio.serving.answers import Answer, Served
from raybio.taggers import Tags

ByTurn = Callable[[int], float]
"""What depends on how many requests came before."""


def tags_of(sentence: Sentence) -> Tags:
    """Return "B-X" for the last word and "O" for the others."""
    count = len(sentence)
    return Tags(("O",) * (count - 1) + ("B-X",), (1.0,) * count)


NEVER = object()
"""The outcome of a request that does not end."""


class _Stream:
    """The stream of one answer, as Ray Serve's handles return it."""

    def __init__(self, outcome: object, cancelled: list[object]) -> None:
        self._outcome = outcome
        self._cancelled = cancelled

    async def __aiter__(self) -> AsyncIterator[object]:
        if self._outcome is NEVER:
            await asyncio.Event().wait()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        yield self._outcome

    def cancel(self) -> None:
        self._cancelled.append(self._outcome)


def handle_that(*outcomes: object) -> SimpleNamespace:
    """Return a handle whose requests end as `outcomes` say, in order.

    It keeps what was asked, with the seconds allowed, and the outcomes of the requests that were cancelled.
    """
    left = iter(outcomes)
    asked: list[Sequence[Sentence]] = []
    allowed: list[float | None] = []
    cancelled: list[object] = []

    def remote(sentences: Sequence[Sentence], seconds_allowed: float | None) -> _Stream:
        asked.append(sentences)
        allowed.append(seconds_allowed)
        return _Stream(next(left), cancelled)

    return SimpleNamespace(
        tag=SimpleNamespace(remote=remote), asked=asked, allowed=allowed, cancelled=cancelled
    )


def failed_with(cause: Exception) -> RayTaskError:
    """Return what a handle raises where the replica raised `cause`."""
    return RayTaskError("tag", "the traceback", cause).as_instanceof_cause()


class FakeModel:
    """Tags the last word of each sentence; `replica` in its answers is the id of the first sentence.

    `seconds` is how long it takes, `stalls` how long everything stands still for a request (as when
    another program has the processor), `fails` says which requests it fails on, `retries` what it took.
    """

    def __init__(
        self,
        seconds: float | ByTurn = 0.0,
        stalls: ByTurn = lambda asked: 0.0,
        fails: Callable[[int], bool] = lambda asked: False,
        tags: Callable[[Sentence], Tags] = tags_of,
        retries: int = 0,
    ) -> None:
        self._seconds = seconds if callable(seconds) else lambda asked: seconds
        self._stalls = stalls
        self._fails = fails
        self._tags = tags
        self._retries = retries
        self.asked = 0
        self._now = 0
        self.most_at_once = 0

    async def tag(self, sentences: Sequence[Sentence]) -> Served:
        """Answer as a client of a deployment does."""
        turn, self.asked = self.asked, self.asked + 1
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        started = time.perf_counter()
        try:
            if stall := self._stalls(turn):
                time.sleep(stall)
            await asyncio.sleep(self._seconds(turn))
            if self._fails(turn):
                raise ServingError("the model is down", retries=self._retries)
        finally:
            self._now -= 1
        seconds = time.perf_counter() - started
        answer = Answer(
            tags=tuple(self._tags(sentence) for sentence in sentences),
            model_seconds=seconds / 2,
            replica_seconds=seconds,
            batch_requests=1,
            batch_size=len(sentences),
            replica=sentences[0].id,
        )
        return Served(answer, seconds, self._retries)
