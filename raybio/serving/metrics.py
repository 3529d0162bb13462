"""The metrics of serving for Prometheus: counts and seconds of each model, by the names in `METRICS`.

Ray's exporter puts `ray_` before each name and `_total` after a counter's; it adds the labels
`application`, `deployment` and `replica`. Counters are there at 0 before the first request.
configs/grafana/raybio.json draws them, and configs/prometheus/rules.yaml watches them.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Sequence
from typing import Any

from ray.serve.metrics import Counter, Histogram

from raybio.entities import Sentence
from raybio.iob2 import spans_from_tags
from raybio.model_metrics import from_zero, of_model
from raybio.taggers import Tags

_SECONDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0]
_WORDS = [16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0]

METRICS = {
    "raybio_serving_requests": "requests answered",
    "raybio_serving_documents": "documents tagged",
    "raybio_serving_sentences": "sentences tagged",
    "raybio_serving_words": "words tagged",
    "raybio_serving_mentions": "mentions found, by label",
    "raybio_serving_rejected": "documents that the model failed on",
    "raybio_serving_passes": "forward passes of an LLM, summed over sentences",
    "raybio_serving_tokens_fed": "tokens fed to an LLM",
    "raybio_serving_malformed": "lines of an LLM that give no word its tag, and words without a line",
    "raybio_serving_seconds": "seconds from a request's arrival at a replica to its answer",
    "raybio_serving_model_seconds": "seconds of the model on a batch",
    "raybio_serving_batch_words": "words of a batch",
    "raybio_serving_retries": "requests sent again after a replica died",
    "raybio_serving_overloaded": "requests refused because too many waited",
    "raybio_serving_failed": "requests that ended without an answer for another reason: too late, say",
}
"""Each metric's name and meaning."""

_HISTOGRAMS = {
    "raybio_serving_seconds": _SECONDS,
    "raybio_serving_model_seconds": _SECONDS,
    "raybio_serving_batch_words": _WORDS,
}


def histogram_names() -> set[str]:
    """Return which of `METRICS` are histograms; the others are counters."""
    return set(_HISTOGRAMS)


class ReplicaMetrics:
    """What a replica of `model` tells, which has these `labels`."""

    def __init__(self, model: str, labels: Sequence[str]) -> None:
        counted = (
            "requests",
            "documents",
            "sentences",
            "words",
            "rejected",
            "passes",
            "tokens_fed",
            "malformed",
        )
        self._counters = _counters(model, *counted)
        tag_keys: Any = ("model", "label")  # Ray's type has room for one
        self._mentions = from_zero(Counter(*_named("mentions"), tag_keys=tag_keys), model, labels)
        self._histograms = _histograms(model, "seconds", "model_seconds", "batch_words")

    def answered(self, sentences: Sequence[Sentence], tagged: Sequence[Tags], seconds: float) -> None:
        """Count a request and what was found in it; `seconds` since it arrived."""
        efforts = [tags.effort for tags in tagged if tags.effort]
        counts = {
            "requests": 1,
            "documents": _documents(sentences),
            "sentences": len(sentences),
            "words": sum(map(len, sentences)),
            "passes": sum(effort.passes for effort in efforts),
            "tokens_fed": sum(effort.tokens_fed for effort in efforts),
            "malformed": sum(len(tags.malformed) for tags in tagged),
        }
        for name, count in counts.items():
            if count:  # Ray refuses to add nothing
                self._counters[name].inc(count)
        for label, count in mentions_by_label(tagged).items():
            self._mentions.inc(count, tags={"label": label})
        self._histograms["seconds"].observe(seconds)

    def rejected(self, sentences: Sequence[Sentence]) -> None:
        """Count a request that the model failed on."""
        self._counters["rejected"].inc(_documents(sentences))

    def batch(self, words: int, seconds: float) -> None:
        """Note one batch."""
        self._histograms["model_seconds"].observe(seconds)
        self._histograms["batch_words"].observe(words)


class ClientMetrics:
    """What a client of `model` tells, where it runs in a deployment itself."""

    def __init__(self, model: str) -> None:
        self._counters = _counters(model, "retries", "overloaded", "failed")

    def retried(self) -> None:
        """Count that a request was sent again."""
        self._counters["retries"].inc()

    def overloaded(self) -> None:
        """Count a request that was refused because too many waited."""
        self._counters["overloaded"].inc()

    def failed(self) -> None:
        """Count a request that ended without an answer."""
        self._counters["failed"].inc()


def mentions_by_label(tagged: Sequence[Tags]) -> Counts[str]:
    """Count the entities in `tagged`."""
    return Counts(span.label for tags in tagged for span in spans_from_tags(tags.tags))


def _documents(sentences: Sequence[Sentence]) -> int:
    """Return how many documents a request's sentences are of; those without a name are of one."""
    return len({sentence.document_id for sentence in sentences}) or 1


def _named(name: str) -> tuple[str, str]:
    whole = f"raybio_serving_{name}"
    return whole, METRICS[whole]


def _counters(model: str, *names: str) -> dict[str, Counter]:
    return {name: from_zero(Counter(*_named(name), tag_keys=("model",)), model) for name in names}


def _histograms(model: str, *names: str) -> dict[str, Histogram]:
    return {
        name: of_model(Histogram(*_named(name), _HISTOGRAMS[_named(name)[0]], tag_keys=("model",)), model)
        for name in names
    }
