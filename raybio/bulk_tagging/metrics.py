"""The metrics of bulk tagging for Prometheus: counts and seconds of each model, by the names in `METRICS`.

A worker tells of each shard that it has committed, from the shard's entry in the ledger, so that the
two agree; counters are there at 0 before the first. Ray's exporter puts `ray_` before each name and `_total`
after a counter's. configs/grafana/raybio.json draws them, and configs/prometheus/rules.yaml watches them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ray.util.metrics import Counter, Histogram

from raybio.bulk_tagging.ledger import ShardEntry
from raybio.model_metrics import from_zero, of_model

METRICS = {
    "raybio_tagging_shards": "shards committed",
    "raybio_tagging_documents": "documents tagged",
    "raybio_tagging_mentions": "mentions found, by label",
    "raybio_tagging_rejected": "records rejected",
    "raybio_tagging_passes": "forward passes of an LLM, summed over sentences",
    "raybio_tagging_tokens_fed": "tokens fed to an LLM",
    "raybio_tagging_shard_seconds": "seconds from taking up a shard to its commit",
}
"""Each metric's name and meaning."""

SHARD_SECONDS = "raybio_tagging_shard_seconds"
"""The one histogram of `METRICS`; the others are counters."""

# A shard takes seconds on a GPU; with an LLM on a CPU, hours.
_SECONDS = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0]


class WorkerMetrics:
    """What a worker that tags with `model` tells; `labels` are those its output may have."""

    def __init__(self, model: str, labels: Sequence[str]) -> None:
        counted = ("shards", "documents", "rejected", "passes", "tokens_fed")
        self._counters = {name: from_zero(Counter(*_named(name), ("model",)), model) for name in counted}
        self._mentions = from_zero(Counter(*_named("mentions"), ("model", "label")), model, labels)
        seconds = Histogram(SHARD_SECONDS, METRICS[SHARD_SECONDS], _SECONDS, ("model",))
        self._seconds = of_model(seconds, model)

    def committed(self, entry: ShardEntry) -> None:
        """Count a shard and what is in it."""
        counts = {
            "shards": 1,
            "documents": entry.documents,
            "rejected": entry.rejected,
            "passes": entry.work.get("passes", 0),
            "tokens_fed": entry.work.get("tokens_fed", 0),
        }
        for name, count in counts.items():
            if count:  # Ray refuses to add nothing
                self._counters[name].inc(count)
        for label, count in entry.mentions.items():
            self._mentions.inc(count, tags={"label": label})
        self._seconds.observe(entry.finished - entry.started)


def _named(name: str) -> tuple[str, str]:
    whole = f"raybio_tagging_{name}"
    return whole, METRICS[whole]
