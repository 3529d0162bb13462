"""The benchmark from end to end, with stand-ins for Ray: what it asks of whom, and what it leaves."""

import json
from contextlib import nullcontext

import pyarrow.parquet as pq
import pytest
from ray.exceptions import RayTaskError, WorkerCrashedError
from serving_fakes import FakeModel, tags_of

from raybio.config import (
    AutoscalingSection,
    BenchmarkServeConfig,
    MeasuredCorpusSection,
    ServedModelSection,
    load_config,
)
from raybio.config.benchmark_serve import ScalingSection, ServerSection, SingleStreamSection
from raybio.errors import InputError, ModelError, ServingError, UsageError
from raybio.reports.benchmark import read_benchmark
from raybio.reports.measurements import benchmark_measurements
from raybio.serving import benchmark
from raybio.serving.equal_work import Bare
from raybio.taggers import Tags

TEST = "Aspirin\tB-X\n\nIt\tO\nhelps\tB-X\n\nNothing\tO\n\n"


class Ray:
    """What the benchmark asks of the cluster."""

    def __init__(self, monkeypatch, alone=tags_of):
        self.asked: list[tuple] = []
        self.model = FakeModel()
        self._alone = alone
        for name in ("deploy", "undeploy", "tag_alone"):
            monkeypatch.setattr(benchmark, name, getattr(self, name))
        monkeypatch.setattr(benchmark, "Client", lambda handle: handle)
        monkeypatch.setattr(benchmark, "connected", nullcontext)
        monkeypatch.setattr(benchmark, "check_model", lambda section: None)
        monkeypatch.setattr(benchmark.ray, "cluster_resources", lambda: {"CPU": 4.0})

    def deploy(self, section, *, run_id="", progress=None):
        self.asked.append(("deploy", section.name, section.model, section.replicas, run_id))
        return self.model

    def undeploy(self, name):
        self.asked.append(("undeploy", name))

    def tag_alone(self, section, sentences, batch_size):
        self.asked.append(("alone", section.name, section.model, batch_size))
        return Bare("encoder", tuple(self._alone(sentence).tags for sentence in sentences), 0.5, "NVIDIA L4")


@pytest.fixture
def config(tmp_path):
    """Two models on two corpora; the second corpus is in a folder called "other"."""
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
        for split in ("train", "dev", "test"):
            (tmp_path / name / f"{split}.tsv").write_text(TEST)

    def make(**changes):
        files = [
            {split: str(tmp_path / name / f"{split}.tsv") for split in ("train", "dev", "test")}
            for name in ("mine", "other")
        ]
        fields = {
            "job": "benchmark-serve",
            "models": (
                ServedModelSection(name="a", model="runs/a-{corpus}"),
                ServedModelSection(name="b", model="runs/b"),
            ),
            "corpora": tuple(MeasuredCorpusSection(**each) for each in files),
            "output": str(tmp_path / "runs"),
            "name": "run",
            "warmup_seconds": 0.0,
            "single_stream": SingleStreamSection(requests=5),
            "server": ServerSection(rates=(200.0,), loads=(), requests=4),
            "bootstrap": 0,
        }
        return BenchmarkServeConfig(**{**fields, **changes})

    return make


def test_every_model_is_measured_on_every_corpus(monkeypatch, config, tmp_path):
    Ray(monkeypatch)
    said: list[str] = []
    done = benchmark.benchmark_serve(config(), said.append)
    report = json.loads((tmp_path / "runs/run/benchmark.json").read_text())
    assert report == done.report
    assert report["version"] == 1
    assert [(r["model"], r["corpus"], r["model_source"]) for r in report["results"]] == [
        ("a", "mine", "runs/a-mine"),
        ("b", "mine", "runs/b"),
        ("a", "other", "runs/a-other"),
        ("b", "other", "runs/b"),
    ]
    for result in report["results"]:
        assert (result["split"], result["sentences"], result["words"]) == ("test", 3, 4)
        assert result["accuracy"]["equal"] is True
        names = [scenario["scenario"] for scenario in result["scenarios"]]
        assert names == ["paper", "offline", "single-stream", "server"]
    assert report["models"]["a"]["kind"] == "encoder"
    assert report["models"]["a"]["mode"] is None
    assert report["models"]["a"]["threads"] == 1
    assert report["models"]["a"]["accelerator"] == "NVIDIA L4"
    assert load_config(tmp_path / "runs/run/config.yaml") == config()
    assert any("strict F1" in line for line in said)


def test_predictions_and_requests_are_kept(monkeypatch, config, tmp_path):
    Ray(monkeypatch)
    benchmark.benchmark_serve(config(), lambda line: None)
    run = tmp_path / "runs/run"
    expected = "Aspirin\tB-X\tB-X\n\nIt\tO\tO\nhelps\tB-X\tB-X\n\nNothing\tO\tB-X\n"
    for model in "ab":
        for corpus in ("mine", "other"):
            assert (run / "predictions" / model / f"{corpus}.tsv").read_text() == expected
    rows = pq.read_table(run / "requests.parquet").to_pylist()
    assert len(rows) == 4 * (1 + 5 + 4)


def test_scaling_deploys_fixed_numbers_and_takes_the_model_down_once(monkeypatch, config):
    ray = Ray(monkeypatch)
    changed = config(models=config().models[1:], corpora=config().corpora[:1])
    changed = changed.model_copy(update={"scaling": ScalingSection(replicas=(1, 2))})
    done = benchmark.benchmark_serve(changed, lambda line: None)
    assert ray.asked == [
        ("alone", "b", "runs/b", 16),
        ("deploy", "b", "runs/b", 1, "run"),
        ("deploy", "b", "runs/b", 1, "run"),
        ("deploy", "b", "runs/b", 2, "run"),
        ("undeploy", "b"),
    ]
    one, two = [s for s in done.report["results"][0]["scenarios"] if s["scenario"] == "scaling"]
    assert (one["point"], one["efficiency"]) == ({"replicas": 1}, 1.0)
    assert two["efficiency"] == pytest.approx(two["sentences_per_second"] / (2 * one["sentences_per_second"]))


def test_loads_are_shares_of_what_offline_reached(monkeypatch, config):
    Ray(monkeypatch)
    some = config(models=config().models[:1], corpora=config().corpora[:1])
    loaded = some.model_copy(update={"server": ServerSection(loads=(0.5,), requests=2)})
    (result,) = benchmark.benchmark_serve(loaded, lambda line: None).report["results"]
    offline, server = (
        next(s for s in result["scenarios"] if s["scenario"] == name) for name in ("offline", "server")
    )
    assert server["point"]["rate"] == pytest.approx(0.5 * offline["sentences_per_second"])


def test_what_is_left_out_is_not_run(monkeypatch, config):
    Ray(monkeypatch)
    bare = config(
        single_stream=SingleStreamSection(requests=0),
        server=ServerSection(loads=()),
        paper=config().paper.model_copy(update={"batch_size": 0}),
    )
    report = benchmark.benchmark_serve(bare, lambda line: None).report
    assert [s["scenario"] for s in report["results"][0]["scenarios"]] == ["offline"]


def test_the_log_begins_with_the_work_that_was_not_equal(monkeypatch, config, tmp_path):
    Ray(monkeypatch, alone=lambda sentence: Tags(("O",) * len(sentence), (1.0,) * len(sentence)))
    benchmark.benchmark_serve(config(), lambda line: None)
    first, second, *_ = (tmp_path / "runs/run/log.txt").read_text().splitlines()
    assert first.startswith(
        "NOT EQUAL WORK: the served answers are not the tagger's own: a on mine (strict F1"
    )
    assert "3 sentences differ" in first
    assert "run folder" in second


ENDED = RayTaskError("tag", "a traceback", RuntimeError("CUDA out of memory")).as_instanceof_cause()


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (ServingError("model b did not start"), "model b did not start"),
        (ENDED, "RuntimeError: CUDA out of memory"),
        (WorkerCrashedError(), "WorkerCrashedError: "),
    ],
)
def test_what_fails_is_noted_and_the_rest_is_measured(monkeypatch, config, tmp_path, error, reported):
    ray = Ray(monkeypatch)

    def deploy(section, *, run_id="", progress=None):
        if section.name == "b":
            raise error
        return ray.model

    monkeypatch.setattr(benchmark, "deploy", deploy)
    done = benchmark.benchmark_serve(config(), lambda line: None)
    report = json.loads((tmp_path / "runs/run/benchmark.json").read_text())
    assert [(result["model"], result["corpus"]) for result in report["results"]] == [
        ("a", "mine"),
        ("a", "other"),
    ]
    assert [(each["model"], each["corpus"]) for each in report["failed"]] == [("b", "mine"), ("b", "other")]
    assert all(each["error"].startswith(reported) for each in report["failed"])
    assert ray.asked.count(("undeploy", "b")) == 2
    assert f"b on other FAILED: {reported}" in (tmp_path / "runs/run/log.txt").read_text()
    with pytest.raises(ServingError, match=r"2 of 4 measurements failed: b on mine: .*; b on other: "):
        done.check()


def test_a_run_without_failures_passes_its_check(monkeypatch, config):
    Ray(monkeypatch)
    benchmark.benchmark_serve(config(), lambda line: None).check()


def test_with_autoscaling_the_most_replicas_are_what_was_had(monkeypatch, config):
    Ray(monkeypatch)
    growing = ServedModelSection(name="a", model="a", autoscaling=AutoscalingSection(max_replicas=3))
    done = benchmark.benchmark_serve(config(models=(growing,)), lambda line: None)
    assert done.report["models"]["a"]["replicas"] == 3
    (measurement, _) = benchmark_measurements(read_benchmark(done.run.path))
    assert measurement.cpus == 3 and "offline, 3 replicas" in measurement.how


def test_a_missing_model_is_found_before_anything_is_measured(monkeypatch, config, tmp_path):
    ray = Ray(monkeypatch)

    def check_model(section):
        if section.model == "runs/a-other":
            raise ModelError(f"there is no model folder {section.model}")

    monkeypatch.setattr(benchmark, "check_model", check_model)
    with pytest.raises(ModelError, match="runs/a-other"):
        benchmark.benchmark_serve(config(), lambda line: None)
    assert ray.asked == []
    assert not (tmp_path / "runs").exists()


def test_replicas_without_room_are_refused(monkeypatch, config):
    Ray(monkeypatch)
    many = config(scaling=ScalingSection(replicas=(1, 5)))
    with pytest.raises(
        UsageError, match=r"model a: 5 replicas with 1 CPUs each need 5, and the cluster has 4"
    ):
        benchmark.benchmark_serve(many, lambda line: None)
    gpu = config(models=(ServedModelSection(name="g", model="g", gpus=0.5),))
    with pytest.raises(UsageError, match=r"GPUs each need 0\.5, and the cluster has 0"):
        benchmark.benchmark_serve(gpu.model_copy(update={"name": "gpu"}), lambda line: None)


def test_a_split_without_sentences_is_refused(monkeypatch, config, tmp_path):
    Ray(monkeypatch)
    changed = config()
    (tmp_path / "mine" / "test.tsv").write_text("-DOCSTART-\tO\n\n")
    with pytest.raises(InputError):
        benchmark.benchmark_serve(changed, lambda line: None)


def test_a_faulty_split_is_found_before_anything_is_measured(monkeypatch, config, tmp_path):
    ray = Ray(monkeypatch)
    changed = config()
    (tmp_path / "other" / "test.tsv").write_text("-DOCSTART-\tO\n\n")
    with pytest.raises(InputError):
        benchmark.benchmark_serve(changed, lambda line: None)
    assert ray.asked == []
