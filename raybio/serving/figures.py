"""What the requests of one drive come to: the figures that benchmark.json has of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from raybio.evaluation.latency import Latency, summarize
from raybio.serving.answers import Answer
from raybio.serving.load_generator import Outcome


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


def figures_of(scenario: str, outcomes: Sequence[Outcome]) -> Figures:
    """Return the figures of a drive, but for latency, which does not mean something in every one."""
    served = [outcome.served for outcome in outcomes if outcome.served is not None]
    answered = [outcome.request for outcome in outcomes if outcome.served is not None]
    answers = [each.answer for each in served]
    wall = max(outcome.finished for outcome in outcomes)
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
        batch_sentences_mean=_mean_batch(answers),
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


def _mean_batch(answers: Sequence[Answer]) -> float | None:
    """Return the mean over batches; all requests of a batch tell of it."""
    batches = sum(1 / answer.batch_requests for answer in answers)
    sentences = sum(answer.batch_size / answer.batch_requests for answer in answers)
    return sentences / batches if batches else None
