"""The dashboard draws what the code tells, and all of it."""

import json
import re
from pathlib import Path

from samples import sentence_of_words
from told_metrics import ToldMetrics

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
