"""The dashboard draws what the code tells, and all of it."""

import json
import re
from dataclasses import replace
from pathlib import Path

from fake_metrics import FakeMetrics
from samples import sentence_of_words

from raybio.bio_output import Malformed
from raybio.bulk_tagging import metrics as tagging
from raybio.serving import metrics
from raybio.serving.metrics import histogram_names, mentions_by_label
from raybio.taggers import Effort, Tags

METRICS = metrics.METRICS | tagging.METRICS

DASHBOARD = Path(__file__).resolve().parents[3] / "configs" / "grafana" / "raybio.json"


def exported() -> set[str]:
    """The names that Prometheus sees: a counter has one, a histogram three."""
    histograms = histogram_names() | {tagging.SHARD_SECONDS}
    counters = {f"ray_{name}_total" for name in METRICS.keys() - histograms}
    return counters | {f"ray_{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}


def test_every_metric_is_drawn_and_nothing_else():
    drawn = set(re.findall(r"ray_raybio\w+", DASHBOARD.read_text("utf-8")))
    assert drawn <= exported()
    assert {re.sub(r"^ray_|_(total|bucket|sum|count)$", "", name) for name in drawn} == set(METRICS)


def test_every_query_is_of_the_chosen_models():
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert queries
    assert all(query.count("ray_raybio") == query.count('{model=~"$model"}') for query in queries)


def test_mentions_are_entities_not_words():
    tags = Tags(("B-X", "I-X", "B-X", "O", "I-Y"), (1.0,) * 5)
    assert mentions_by_label([tags, tags]) == {"X": 4, "Y": 2}


LLM = Tags(
    ("B-X", "O"),
    (1.0, 1.0),
    Effort(passes=3, tokens_fed=40, tokens_emitted=2, seconds=0.1),
    (Malformed("missing word", None, "", range(1)),),
)


def test_a_request_to_an_llm_is_counted_with_what_it_took(monkeypatch):
    reported = FakeMetrics(monkeypatch, metrics)
    replica = metrics.ReplicaMetrics("m", ["X", "Y"])
    replica.answered([sentence_of_words("a", "b"), sentence_of_words("c", "d")], [LLM, LLM], seconds=0.5)
    expected = {"requests": 1, "documents": 1, "sentences": 2, "words": 4, "passes": 6, "tokens_fed": 80}
    expected["malformed"] = 2
    assert +reported.counts == {
        **{(f"raybio_serving_{name}", "m"): count for name, count in expected.items()},
        ("raybio_serving_mentions", "m", "X"): 2,
    }
    assert reported.observed == {("raybio_serving_seconds", "m"): [0.5]}


def test_a_rejected_request_counts_its_documents_and_nothing_else(monkeypatch):
    reported = FakeMetrics(monkeypatch, metrics)
    two = [replace(sentence_of_words("a"), document_id=name) for name in ("1", "1", "2")]
    metrics.ReplicaMetrics("m", ["X", "Y"]).rejected(two)
    assert +reported.counts == {("raybio_serving_rejected", "m"): 2}
    assert not reported.observed


def test_a_batch_is_observed(monkeypatch):
    reported = FakeMetrics(monkeypatch, metrics)
    metrics.ReplicaMetrics("m", ["X", "Y"]).batch(words=70, seconds=0.25)
    assert reported.observed == {
        ("raybio_serving_model_seconds", "m"): [0.25],
        ("raybio_serving_batch_words", "m"): [70],
    }


def test_a_retry_is_counted_each_time(monkeypatch):
    reported = FakeMetrics(monkeypatch, metrics)
    client = metrics.ClientMetrics("m")
    client.retried()
    client.retried()
    assert +reported.counts == {("raybio_serving_retries", "m"): 2}


def test_every_counter_is_there_at_zero_before_the_first_request(monkeypatch):
    reported = FakeMetrics(monkeypatch, metrics)
    metrics.ReplicaMetrics("m", ["X", "Y"])
    metrics.ClientMetrics("m")
    mentions = "raybio_serving_mentions"
    plain = {(name, "m") for name in metrics.METRICS if name not in histogram_names() | {mentions}}
    assert reported.counts.keys() == plain | {(mentions, "m", "X"), (mentions, "m", "Y")}
    assert set(reported.counts.values()) == {0}
