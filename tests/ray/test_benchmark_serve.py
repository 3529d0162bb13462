"""The serving benchmark on real replicas of a really trained model: equal work, and figures that fit."""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raybio.config import BenchmarkServeConfig, MeasuredCorpusSection, ServedModelSection
from raybio.config.benchmark_serve import (
    OfflineSection,
    PaperSection,
    ScalingSection,
    ServerSection,
    SingleStreamSection,
)
from raybio.corpora.sample import SampleFiles
from raybio.serving.benchmark import BenchmarkedServing, benchmark_serve
from raybio.serving.deployment import states
from raybio.training.encoder import TrainedEncoder


@pytest.fixture(scope="module")
def benchmarked(
    trained: TrainedEncoder, sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory
) -> BenchmarkedServing:
    """Every scenario, small."""
    config = BenchmarkServeConfig(
        job="benchmark-serve",
        models=(ServedModelSection(name="minilm", model=str(trained.run.model), precision="fp32"),),
        corpora=(MeasuredCorpusSection(train=str(sample.train), dev=str(sample.dev), test=str(sample.test)),),
        output=str(tmp_path_factory.mktemp("benchmarks")),
        name="small",
        warmup_seconds=0.5,
        single_stream=SingleStreamSection(requests=12),
        server=ServerSection(rates=(10.0,), loads=(), requests=12, target_seconds=5.0),
        offline=OfflineSection(request_sentences=1, window=8),
        scaling=ScalingSection(replicas=(1, 2)),
        paper=PaperSection(batch_size=8),
        bootstrap=10,
    )
    return benchmark_serve(config)


def scenario(benchmarked: BenchmarkedServing, name: str) -> dict:
    (result,) = benchmarked.report["results"]
    return next(each for each in result["scenarios"] if each["scenario"] == name)


def test_the_served_answers_are_the_taggers_and_score_as_training_said(
    benchmarked: BenchmarkedServing, trained: TrainedEncoder
) -> None:
    (result,) = benchmarked.report["results"]
    accuracy = result["accuracy"]
    assert accuracy["equal"] and accuracy["different_sentences"] == accuracy["unanswered_sentences"] == 0
    assert accuracy["served_strict_f1"] == accuracy["offline_strict_f1"]
    after_training = trained.scores["test"]["corrected"]["overall"]["strict"]["f1"]
    assert accuracy["served_strict_f1"] == pytest.approx(after_training, abs=1e-9)


def test_each_scenario_is_there_and_nothing_failed(benchmarked: BenchmarkedServing) -> None:
    (result,) = benchmarked.report["results"]
    names = [each["scenario"] for each in result["scenarios"]]
    assert names == ["paper", "offline", "single-stream", "server", "scaling", "scaling"]
    assert all(each["errors"] == 0 < each["sentences_per_second"] for each in result["scenarios"])
    assert scenario(benchmarked, "single-stream")["requests"] == 12
    assert scenario(benchmarked, "server")["goodput"]["target_seconds"] == 5.0
    model = benchmarked.report["models"]["minilm"]
    assert (model["kind"], model["mode"], model["threads"]) == ("encoder", None, 1)


def test_seconds_lie_inside_each_other(benchmarked: BenchmarkedServing) -> None:
    for name in ("single-stream", "server", "offline"):
        seconds = scenario(benchmarked, name)["seconds"]
        assert seconds["client"] > seconds["replica"] > seconds["model"] > 0


def test_requests_batch_together_and_two_replicas_share_them(benchmarked: BenchmarkedServing) -> None:
    rows = pq.read_table(benchmarked.run.path / "requests.parquet").to_pylist()
    assert scenario(benchmarked, "single-stream")["batch_sentences_mean"] == 1
    assert scenario(benchmarked, "offline")["batch_sentences_mean"] > 1.5
    replicas = {
        point: Counter(
            row["replica"] for row in rows if row["scenario"] == "scaling" and row["point"] == point
        )
        for point in ("replicas 1", "replicas 2")
    }
    assert {point: len(names) for point, names in replicas.items()} == {"replicas 1": 1, "replicas 2": 2}
    both = replicas["replicas 2"]
    assert min(both.values()) > both.total() / 4, both  # neither idles beside a full one
    assert all(row["error"] is None for row in rows)


def test_the_run_folder_is_whole_and_the_model_is_down(benchmarked: BenchmarkedServing) -> None:
    run: Path = benchmarked.run.path
    assert json.loads((run / "benchmark.json").read_text()) == benchmarked.report
    assert {"config.yaml", "environment.json", "log.txt", "predictions", "requests.parquet"} <= {
        path.name for path in run.iterdir()
    }
    (predictions,) = (run / "predictions" / "minilm").iterdir()
    sentences = predictions.read_text().split("\n\n")
    assert len(sentences) == benchmarked.report["results"][0]["sentences"]
    assert states(["minilm"]) == {"minilm": "absent"}
