"""Sends requests to a served model and takes the time: one at a time, in a window, or as they arrive.

Whatever has `async tag(sentences) -> Served` can be driven, so nothing here knows Ray.

Latency runs from the time a request was *scheduled*. Where the client waits for nobody the two are
the same; where requests arrive by a timetable, one that had to be sent late has waited already, and
a generator that forgave it would praise a server for its own delay (coordinated omission).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TypeAlias

from raybio.entities import Sentence
from raybio.errors import ServingError
from raybio.serving.answers import Served

Request: TypeAlias = "Sequence[Sentence]"
Tag: TypeAlias = "Callable[[Request], Awaitable[Served]]"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request and its outcome; times in seconds since the drive began.

    `served` is None where the client gave up, and `error` says why. `retries` is how often it asked
    again, answered or not.
    """

    request: Request
    scheduled: float
    started: float
    finished: float
    served: Served | None
    error: str = ""
    retries: int = 0

    @property
    def seconds(self) -> float:
        """The request's latency, from the time it was scheduled."""
        return self.finished - self.scheduled

    @property
    def words(self) -> int:
        """Words of the request."""
        return sum(map(len, self.request))


class _Drive:
    """One clock for all requests of a drive."""

    def __init__(self, tag: Tag) -> None:
        self._tag = tag
        self._start = time.perf_counter()

    def now(self) -> float:
        return time.perf_counter() - self._start

    async def ask(self, request: Request, scheduled: float | None = None) -> Outcome:
        """Send a request now; it was due at `scheduled`, or just now."""
        started = self.now()
        due = started if scheduled is None else scheduled
        try:
            served = await self._tag(request)
        except ServingError as error:
            return Outcome(request, due, started, self.now(), None, str(error), error.retries)
        return Outcome(request, due, started, self.now(), served, retries=served.retries)


async def in_window(tag: Tag, requests: Iterable[Request], window: int) -> list[Outcome]:
    """Keep `window` requests in flight until there are no more; return the outcome of each, in order.

    A window of 1 is a single stream. `requests` is read as they are sent, so it may end by the clock.
    """
    drive = _Drive(tag)
    waiting = enumerate(requests)
    outcomes: dict[int, Outcome] = {}

    async def ask_while_there_are_any() -> None:
        for number, request in waiting:
            outcomes[number] = await drive.ask(request)

    async with asyncio.TaskGroup() as group:
        for _ in range(window):
            group.create_task(ask_while_there_are_any())
    return [outcomes[number] for number in range(len(outcomes))]


async def at_times(tag: Tag, requests: Iterable[Request], times: Iterable[float]) -> list[Outcome]:
    """Send each request at its time, in seconds from now, however many are still unanswered.

    Raises:
        ValueError: there are not as many requests as times.
    """
    drive = _Drive(tag)
    tasks = []
    async with asyncio.TaskGroup() as group:
        for request, due in zip(requests, times, strict=True):
            await asyncio.sleep(due - drive.now())
            tasks.append(group.create_task(drive.ask(request, due)))
    return [task.result() for task in tasks]


async def warm_up(tag: Tag, requests: Sequence[Request], window: int, seconds: float) -> list[Outcome]:
    """Keep `window` requests in flight for `seconds`, and until that many have been sent at all.

    Requests are sent over and over as need be.
    """

    def endless() -> Iterator[Request]:
        end = time.perf_counter() + seconds
        for sent, request in enumerate(cycle(requests)):
            if sent >= window and time.perf_counter() >= end:
                return
            yield request

    return await in_window(tag, endless(), window)


def poisson_times(rate: float, most: int, max_seconds: float, seed: int) -> list[float]:
    """Return the times, in seconds, of a Poisson process with `rate` arrivals a second.

    The gaps between arrivals are independent and exponential. There are `most` arrivals, or as many
    as come within `max_seconds`, but one at least.
    """
    source = random.Random(seed)  # noqa: S311 - a timetable, not a secret
    times = [source.expovariate(rate)]
    while len(times) < most and (following := times[-1] + source.expovariate(rate)) <= max_seconds:
        times.append(following)
    return times


def drawn(sentences: Sequence[Sentence], count: int, seed: int) -> list[Request]:
    """Return `count` requests of one sentence, drawn at random; none twice before all were drawn."""
    source = random.Random(seed)  # noqa: S311
    requests: list[Request] = []
    while len(requests) < count:
        requests += [[sentence] for sentence in source.sample(sentences, len(sentences))]
    return requests[:count]


def together(sentences: Sequence[Sentence], size: int) -> list[Request]:
    """Return all sentences in order, `size` of them a request."""
    return [sentences[start : start + size] for start in range(0, len(sentences), size)]
