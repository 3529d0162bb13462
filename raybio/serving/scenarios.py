"""The scenarios of the benchmark, each driven after a warm-up of its own, and what its requests come to.

    single-stream   one sentence, and the next when it was answered: latency
    server          single sentences that arrive at random at one rate: latency, goodput
    offline         the whole split at once, in larger requests: throughput
    scaling         offline with more replicas: efficiency
    paper           the study's way to time, without any server

The first three are MLPerf Inference's (Reddi et al., "MLPerf Inference Benchmark", 2020, section
III.C). Each drives whatever has `async tag(sentences) -> Served`; nothing here knows Ray.
"""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from raybio.config.benchmark_serve import OfflineSection, ServerSection, SingleStreamSection
from raybio.entities import Sentence
from raybio.evaluation.latency import Latency, summarize
from raybio.serving.load_generator import (
    Outcome,
    Tag,
    at_times,
    drawn,
    in_window,
    poisson_times,
    together,
    warm_up,
)

_SERVER_WINDOW = 16
"""Single sentences in flight while a server warms up."""


@dataclass(frozen=True, slots=True)
class MeanSeconds:
    """Mean wall seconds of a request: at the client, in the replica, and of its batch in the model.

    The client's contain the replica's, and those the model's; None where nobody took the time.
    """

    client: float | None
    replica: float | None = None
    model: float | None = None


@dataclass(frozen=True, slots=True)
class Goodput:
    """The requests that were answered within `target_seconds`: their share, and how many a second."""

    target_seconds: float
    fraction: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One scenario at one point (such as {"rate": 5.0}); None is what has no meaning in it.

    Throughput, latency and means are of the requests that were answered; `wall_seconds` ends with
    the last of all, and errors are requests that the client gave up. `retries` are of all requests.
    `efficiency` is the throughput over that of one replica times the number of replicas.
    """

    scenario: str
    requests: int
    wall_seconds: float
    sentences_per_second: float
    words_per_second: float
    seconds: MeanSeconds
    point: Mapping[str, float] = field(default_factory=dict)
    errors: int = 0
    retries: int = 0
    latency: Latency | None = None
    batch_sentences_mean: float | None = None
    goodput: Goodput | None = None
    efficiency: float | None = None

    @property
    def point_in_words(self) -> str:
        """The point as people write it: "rate 5"."""
        return ", ".join(f"{name} {value:.4g}" for name, value in self.point.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, plain data throughout."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Measured:
    """One scenario at one point: its figures, and the requests that they are of."""

    figures: Figures
    outcomes: Sequence[Outcome] = ()


@dataclass(frozen=True, slots=True)
class Scenarios:
    """The scenarios of a deployed model, with the options of a run."""

    single: SingleStreamSection
    arrivals: ServerSection
    whole: OfflineSection
    warmup_seconds: float
    seed: int

    async def run(self, tag: Tag, sentences: Sequence[Sentence], replicas: int) -> AsyncIterator[Measured]:
        """Run all but scaling; the first is offline, whose answers are those of the whole split."""
        scored = await self.offline(tag, sentences, replicas)
        yield scored
        if self.single.requests:
            yield await self.single_stream(tag, sentences)
        reached = scored.figures.sentences_per_second
        for rate in [*self.arrivals.rates, *(load * reached for load in self.arrivals.loads if reached)]:
            yield await self.server(tag, sentences, rate)

    async def single_stream(self, tag: Tag, sentences: Sequence[Sentence]) -> Measured:
        """Ask for sentences drawn from the split, one after the other."""
        requests = drawn(sentences, self.single.requests, self.seed)
        await warm_up(tag, requests, 1, self.warmup_seconds)
        outcomes = await in_window(tag, requests, 1)
        return Measured(
            replace(figures_of("single-stream", outcomes), latency=latency_of(outcomes)), outcomes
        )

    async def server(self, tag: Tag, sentences: Sequence[Sentence], rate: float) -> Measured:
        """Let sentences drawn from the split arrive as a Poisson process with `rate` a second."""
        times = poisson_times(rate, self.arrivals.requests, self.arrivals.seconds, self.seed)
        requests = drawn(sentences, len(times), self.seed)
        await warm_up(tag, requests, _SERVER_WINDOW, self.warmup_seconds)
        outcomes = await at_times(tag, requests, times)
        figures = replace(
            figures_of("server", outcomes),
            point={"rate": rate},
            latency=latency_of(outcomes),
            goodput=goodput_of(outcomes, self.arrivals.target_seconds),
        )
        return Measured(figures, outcomes)

    async def offline(self, tag: Tag, sentences: Sequence[Sentence], replicas: int) -> Measured:
        """Have the whole split tagged by so many replicas, each with a window of requests in flight."""
        requests = together(sentences, self.whole.request_sentences)
        window = self.whole.window * replicas
        await warm_up(tag, requests, window, self.warmup_seconds)
        outcomes = await in_window(tag, requests, window)
        return Measured(figures_of("offline", outcomes), outcomes)


def scaling(measured: Measured, replicas: int, first: Measured | None) -> Measured:
    """Return an offline drive as one of the scenario "scaling"; `first` is that of one replica."""
    alone = (first or measured).figures.sentences_per_second
    efficiency = measured.figures.sentences_per_second / (replicas * alone) if alone else None
    figures = replace(
        measured.figures, scenario="scaling", point={"replicas": replicas}, efficiency=efficiency
    )
    return Measured(figures, measured.outcomes)


def paper(sentences: Sequence[Sentence], seconds: float) -> Measured:
    """Return the study's figure: the wall time of the whole split, scored, divided by its instances.

    That is throughput, called time per instance: no instance was timed by itself.
    """
    return Measured(
        Figures(
            scenario="paper",
            requests=len(sentences),
            wall_seconds=seconds,
            sentences_per_second=len(sentences) / seconds,
            words_per_second=sum(map(len, sentences)) / seconds,
            seconds=MeanSeconds(client=seconds / len(sentences)),
        )
    )


def figures_of(scenario: str, outcomes: Sequence[Outcome]) -> Figures:
    """Return the figures of a drive, but for latency, which does not mean something in every one."""
    served = [outcome.served for outcome in outcomes if outcome.served is not None]
    answered = [outcome.request for outcome in outcomes if outcome.served is not None]
    answers = [each.answer for each in served]
    wall = max(outcome.finished for outcome in outcomes)
    # All requests of a batch report it: the mean is over batches.
    batches = sum(1 / answer.batch_requests for answer in answers)
    batched = sum(answer.batch_size / answer.batch_requests for answer in answers)
    return Figures(
        scenario=scenario,
        requests=len(outcomes),
        wall_seconds=wall,
        sentences_per_second=sum(map(len, answered)) / wall,
        words_per_second=sum(len(sentence) for request in answered for sentence in request) / wall,
        seconds=MeanSeconds(
            client=_mean([each.seconds for each in served]),
            replica=_mean([answer.replica_seconds for answer in answers]),
            model=_mean([answer.model_seconds for answer in answers]),
        ),
        errors=len(outcomes) - len(served),
        retries=sum(outcome.retries for outcome in outcomes),
        batch_sentences_mean=batched / batches if batches else None,
    )


def latency_of(outcomes: Sequence[Outcome]) -> Latency | None:
    """Return the latencies of the requests that were answered; None where none was."""
    seconds = [outcome.seconds for outcome in outcomes if outcome.served is not None]
    return summarize(seconds) if seconds else None


def goodput_of(outcomes: Sequence[Outcome], target_seconds: float) -> Goodput:
    """Return how many requests were answered in time; one that was given up was not."""
    good = sum(outcome.served is not None and outcome.seconds <= target_seconds for outcome in outcomes)
    wall = max(outcome.finished for outcome in outcomes)
    return Goodput(target_seconds, good / len(outcomes), good / wall)


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
