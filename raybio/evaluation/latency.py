"""Percentiles of latencies, and how far to trust them.

A percentile is an order statistic of what was measured: the smallest latency that at least so many
percent of the requests did not exceed (nearest rank), never a mean of two.

Its interval is distribution-free, since latencies follow no handy distribution. Of n independent
latencies, the number that do not exceed the true percentile ξ (the share p of all there will ever
be) is binomial, whatever the distribution; so for the order statistics X(1) <= ... <= X(n)

    P(X(low) > ξ) <= P(Bin(n, p) <= low - 1)   and   P(X(high) < ξ) <= P(Bin(n, p) >= high)

`low` is the largest rank, and `high` the smallest, for which this is at most (1 - confidence) / 2:
David and Nagaraja, "Order Statistics", 3rd edition, 2003, section 7.1; Hahn and Meeker,
"Statistical Intervals", 1991, section 5.2. Where there is no such rank the sample is too small to
bound the percentile on that side, and the bound is None.

Latencies of requests that queue behind each other are not independent. Intervals of a loaded
server come out too narrow; those of one request at a time do not suffer from this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from raybio.errors import UsageError

CONFIDENCE = 0.95

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile and its interval, in seconds; None where the sample is too small for a bound."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Latency:
    """How long requests took, in seconds."""

    mean: float
    p50: Percentile
    p90: Percentile
    p99: Percentile
    max: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name; a percentile is {"value", "low", "high"}."""
        return asdict(self)


def summarize(seconds: Sequence[float]) -> Latency:
    """Return mean, percentiles and maximum of the latencies.

    Raises:
        UsageError: there are none.
    """
    return Latency(
        mean=math.fsum(seconds) / max(1, len(seconds)),
        p50=percentile(seconds, 50),
        p90=percentile(seconds, 90),
        p99=percentile(seconds, 99),
        max=max(seconds),
    )


def percentile(seconds: Sequence[float], percent: int, confidence: float = CONFIDENCE) -> Percentile:
    """Return the percentile `percent` (1 to 99) of latencies, with its interval.

    Raises:
        UsageError: there are no latencies, or `percent` or `confidence` is out of range.
    """
    if not seconds:
        raise UsageError("no request was answered: there is no latency to take a percentile of")
    low, high = interval_ranks(len(seconds), percent, confidence)
    ordered = sorted(seconds)
    # In whole numbers: 0.07 * 100 is more than 7.
    rank = -(-len(ordered) * percent // 100)
    return Percentile(
        value=ordered[rank - 1],
        low=None if low is None else ordered[low - 1],
        high=None if high is None else ordered[high - 1],
    )


def interval_ranks(count: int, percent: int, confidence: float = CONFIDENCE) -> tuple[int | None, int | None]:
    """Return the ranks (1 to `count`) of the order statistics that bound percentile `percent`.

    Raises:
        UsageError: `count` is below 1, `percent` not from 1 to 99, or `confidence` not between 0 and 1.
    """
    if count < 1:
        raise UsageError(f"an interval needs at least one latency, not {count}")
    if not 1 <= percent <= 99:
        raise UsageError(f"a percentile must lie from 1 to 99, not {percent}")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must lie between 0 and 1, not {confidence}; 0.95 is usual")
    tail = (1 - confidence) / 2
    likely = _binomial(count, percent / 100)
    at_most = np.cumsum(likely)  # [k]: P(Bin <= k)
    at_least = np.cumsum(likely[::-1])[::-1]  # [k]: P(Bin >= k)
    low = int(np.count_nonzero(at_most <= tail))
    high = count + 1 - int(np.count_nonzero(at_least <= tail))
    return low or None, high if high <= count else None


def fewest_for(percent: int, confidence: float = CONFIDENCE) -> int:
    """Return how many latencies bound percentile `percent` on both sides: 368 for the 99th at 95 %."""
    further = max(percent, 100 - percent) / 100
    count = math.ceil(math.log((1 - confidence) / 2) / math.log(further))
    return count if None not in interval_ranks(count, percent, confidence) else count + 1


def _binomial(count: int, share: float) -> Floats:
    """Return P(Bin(count, share) = k) for k from 0 to `count`; by logarithms, which do not underflow."""
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    k = np.arange(count + 1)
    log_ways = log_factorials[count] - log_factorials - log_factorials[::-1]
    likely: Floats = np.exp(log_ways + k * math.log(share) + (count - k) * math.log1p(-share))
    return likely
