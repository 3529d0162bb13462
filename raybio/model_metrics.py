"""Ray's metrics of one model, each counter there at 0 before its first event.

Of a counter that begins at 1, `rate()` and `increase()` of Prometheus do not see the first event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ray.util.metrics import Counter, Metric

MetricOfRay = TypeVar("MetricOfRay", bound=Metric)
CounterOfRay = TypeVar("CounterOfRay", bound=Counter)


def of_model(metric: MetricOfRay, model: str) -> MetricOfRay:
    """Return `metric`, whose label `model` is this one from now on."""
    metric.set_default_tags({"model": model})  # Ray's returns the metric, Ray Serve's nothing
    return metric


def from_zero(counter: CounterOfRay, model: str, labels: Sequence[str] | None = None) -> CounterOfRay:
    """Return a counter of `model` that says 0 at once; with `labels`, for each value of its label `label`."""
    of_model(counter, model)
    for tags in [None] if labels is None else [{"label": label} for label in labels]:
        counter._record(0.0, tags)  # `inc` refuses 0
    return counter
