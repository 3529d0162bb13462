"""What a committed shard is counted as."""

from fake_metrics import FakeMetrics

from raybio.bulk_tagging import metrics
from raybio.bulk_tagging.ledger import ShardEntry

ENTRY = ShardEntry(
    shard="in-00000",
    documents=9,
    without_text=1,
    rejected=2,
    deleted=3,
    sentences=40,
    words=400,
    mentions={"Chemical": 5, "Disease": 7},
    work={"passes": 50, "tokens_fed": 900, "subwords": 600},
    files={},
    started=100.0,
    finished=130.5,
)


def test_a_shard_is_counted_as_its_entry_says(monkeypatch):
    reported = FakeMetrics(monkeypatch, metrics)
    worker = metrics.WorkerMetrics("runs/m/model", ["Chemical", "Disease"])
    worker.committed(ENTRY)
    expected = {"shards": 1, "documents": 9, "rejected": 2, "passes": 50, "tokens_fed": 900}
    assert +reported.counts == {
        **{(f"raybio_tagging_{name}", "runs/m/model"): count for name, count in expected.items()},
        ("raybio_tagging_mentions", "runs/m/model", "Chemical"): 5,
        ("raybio_tagging_mentions", "runs/m/model", "Disease"): 7,
    }
    assert reported.observed == {(metrics.SHARD_SECONDS, "runs/m/model"): [30.5]}


def test_what_there_was_nothing_of_is_not_counted(monkeypatch):
    reported = FakeMetrics(monkeypatch, metrics)
    worker = metrics.WorkerMetrics("m", ["Chemical"])
    worker.committed(ShardEntry("in-00001", 0, 0, 0, 1, 0, 0, {}, {}, {}, 1.0, 2.0))
    assert +reported.counts == {("raybio_tagging_shards", "m"): 1}


def test_every_counter_is_there_at_zero_before_the_first_shard(monkeypatch):
    reported = FakeMetrics(monkeypatch, metrics)
    metrics.WorkerMetrics("m", ["Chemical", "Disease"])
    mentions = "raybio_tagging_mentions"
    plain = {(name, "m") for name in metrics.METRICS if name not in (mentions, metrics.SHARD_SECONDS)}
    assert reported.counts.keys() == plain | {(mentions, "m", "Chemical"), (mentions, "m", "Disease")}
    assert set(reported.counts.values()) == {0}
