"""What a replica says to one request, and what a client knows of it besides."""

from __future__ import annotations

from dataclasses import dataclass

from raybio.taggers.base import Tags


@dataclass(frozen=True, slots=True)
class Answer:
    """What a replica says to one request: tags, and where the time went, in seconds of wall time."""

    tags: tuple[Tags, ...]
    """One for each sentence of the request, in order."""
    model_seconds: float
    """Of the model, on all batches that this request was in; more than one if it is longer than one."""
    replica_seconds: float
    """From the request's arrival at the replica to its answer."""
    batch_requests: int
    """Requests in the largest of them."""
    batch_size: int
    """Sentences in the largest of them."""
    replica: str
    """Which replica answered."""


@dataclass(frozen=True, slots=True)
class Served:
    """An answer as its client saw it."""

    answer: Answer
    seconds: float
    """The client's wall time, retries and waiting included."""
    retries: int
    """How often the request was sent again, because its replica died or the queue was full."""
