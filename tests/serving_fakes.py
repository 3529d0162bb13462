"""A served model that is none: it answers late, stalls or fails as a test wants it to; and a handle."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace

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


def handle_that(*outcomes: object) -> SimpleNamespace:
    """Return a handle whose requests end as `outcomes` say, in order."""
    left = iter(outcomes)
    asked = []

    async def remote(sentences: Sequence[Sentence]) -> AsyncIterator[object]:
        asked.append(sentences)
        outcome = next(left)
        if outcome is NEVER:
            await asyncio.Event().wait()
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome

    return SimpleNamespace(tag=SimpleNamespace(remote=remote), asked=asked)


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
            batch_sentences=len(sentences),
            replica=sentences[0].id,
        )
        return Served(answer, seconds, self._retries)
