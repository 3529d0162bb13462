"""The scenarios of the benchmark, each driven after a warm-up of its own.

    single-stream   one sentence, and the next when it was answered: latency
    server          single sentences that arrive at random at one rate: latency, goodput
    offline         the whole split at once, in larger requests: throughput
    scaling         offline with more replicas: efficiency
    paper           the study's way to time, without any server

The first three are MLPerf Inference's (Reddi et al., "MLPerf Inference Benchmark", 2020, section
III.C). Each drives whatever has `async tag(sentences) -> Served`; nothing here knows Ray.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from raybio.config import BenchmarkServeConfig
from raybio.entities import Sentence
from raybio.serving.figures import Figures, MeanSeconds, figures_of, goodput_of, latency_of
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
class Measured:
    """One scenario at one point: its figures, and the requests that they are of."""

    figures: Figures
    outcomes: Sequence[Outcome] = ()


async def single_stream(tag: Tag, sentences: Sequence[Sentence], config: BenchmarkServeConfig) -> Measured:
    """Ask for sentences drawn from the split, one after the other."""
    requests = drawn(sentences, config.single_stream.requests, config.seed)
    await warm_up(tag, requests, 1, config.warmup_seconds)
    outcomes = await in_window(tag, requests, 1)
    return Measured(replace(figures_of("single-stream", outcomes), latency=latency_of(outcomes)), outcomes)


async def server(
    tag: Tag, sentences: Sequence[Sentence], config: BenchmarkServeConfig, rate: float
) -> Measured:
    """Let sentences drawn from the split arrive as a Poisson process with `rate` a second."""
    options = config.server
    times = poisson_times(rate, options.requests, options.seconds, config.seed)
    requests = drawn(sentences, len(times), config.seed)
    await warm_up(tag, requests, _SERVER_WINDOW, config.warmup_seconds)
    outcomes = await at_times(tag, requests, times)
    figures = replace(
        figures_of("server", outcomes),
        point={"rate": rate},
        latency=latency_of(outcomes),
        goodput=goodput_of(outcomes, options.target_seconds),
    )
    return Measured(figures, outcomes)


async def offline(
    tag: Tag, sentences: Sequence[Sentence], config: BenchmarkServeConfig, replicas: int
) -> Measured:
    """Have the whole split tagged by so many replicas, each with a window of requests in flight."""
    requests = together(sentences, config.offline.request_sentences)
    window = config.offline.window * replicas
    await warm_up(tag, requests, window, config.warmup_seconds)
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
