"""Runs in a real MLflow tracking store of files, which starts at once where a database takes seconds."""

import json
import os
import shutil
import sys

import pytest
from mlflow.tracking import MlflowClient

from raybio.config import CorpusSection, LoggingSection, TrainEncoderConfig, resolved
from raybio.errors import TrainingError
from raybio.evaluation import evaluate
from raybio.run_folder import RunFolder
from raybio.training import mlflow_run, trainer
from raybio.training.metrics_log import MetricsLog
from raybio.training.mlflow_run import check_mlflow, tracked

ROWS = [{"epoch": epoch, "train_loss": 1 / epoch, "dev_strict_f1": 0.25 * epoch} for epoch in (1, 2, 3)]


@pytest.fixture
def uri(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return (tmp_path / "mlruns").as_uri()


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "my-run", "")


def config_of(uri, **changes):
    logging = LoggingSection(mlflow=uri, tensorboard=False)
    corpus = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
    config = TrainEncoderConfig(job="train-encoder", model="bundled:minilm", corpus=corpus, logging=logging)
    return config.model_copy(update=changes)


def tracking(run, config):
    return tracked(run, config.logging.mlflow, resolved(config))


def found(uri):
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("raybio").experiment_id])
    return client, runs


def history(uri, name):
    client, [one] = found(uri)
    return sorted((m.step, m.value) for m in client.get_metric_history(one.info.run_id, name))


def test_options_metrics_and_the_end_of_a_run(run, uri):
    config = config_of(uri)
    with tracking(run, config):
        assert found(uri)[1][0].info.status == "RUNNING"
        for row in ROWS:
            MetricsLog(run, config.logging).add({**row, "note": "no number"})
    _, [one] = found(uri)
    assert (one.info.run_name, one.info.status) == ("my-run", "FINISHED")
    assert one.data.params["training.epochs"] == str(config.training.epochs)
    assert one.data.params["model"] == config.model and one.data.params["resume"] == "false"
    assert history(uri, "train_loss") == [(row["epoch"], row["train_loss"]) for row in ROWS]
    assert set(one.data.metrics) == {"train_loss", "dev_strict_f1"}


def test_the_scores_of_the_kept_model_are_logged_at_the_end(run, uri):
    scores = evaluate([["B-X", "O", "B-X"]], [["B-X", "O", "O"]]).to_dict()
    with tracking(run, config_of(uri)):
        run.write_json("scores.json", {"test": scores})
    logged = found(uri)[1][0].data.metrics
    assert logged["final_test_strict_recall"] == 0.5 and logged["final_test_strict_precision"] == 1.0
    assert logged["final_test_strict_f1"] == pytest.approx(2 / 3)
    assert logged["final_test_paper_strict_f1"] == scores["paper"]["overall"]["strict"]["f1"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(TrainingError("no"), "FAILED"), (OSError(), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_a_run_that_ends_otherwise(run, uri, error, status):
    with pytest.raises(type(error)), tracking(run, config_of(uri)):
        raise error
    assert found(uri)[1][0].info.status == status


def test_a_resumed_run_continues_the_same_one(run, uri):
    config = config_of(uri)
    with pytest.raises(KeyboardInterrupt), tracking(run, config):
        MetricsLog(run, config.logging).add(ROWS[0])
        raise KeyboardInterrupt
    longer = config.training.model_copy(update={"epochs": 77})
    resumed = config_of(uri, training=longer, resume=True)
    with tracking(RunFolder.existing(run.path), resumed):
        assert found(uri)[1][0].info.status == "RUNNING"
        MetricsLog(run, config.logging).add(ROWS[1])
    _, [one] = found(uri)
    assert one.info.status == "FINISHED"
    assert one.data.params["training.epochs"] == str(config.training.epochs)
    assert one.data.tags["resumed.training.epochs"] == "77"
    assert [step for step, _ in history(uri, "train_loss")] == [1, 2]


def test_a_run_that_somebody_deleted_begins_anew(run, uri):
    with tracking(run, config_of(uri)):
        pass
    client, [one] = found(uri)
    client.delete_run(one.info.run_id)
    with tracking(run, config_of(uri)):
        pass
    assert found(uri)[1][0].info.run_id != one.info.run_id


def test_another_store_gets_a_run_of_its_own(run, uri):
    with tracking(run, config_of(uri)):
        pass
    with tracking(run, config_of(f"{uri}2")):
        pass
    assert len(found(uri)[1]) == len(found(f"{uri}2")[1]) == 1


def test_what_mlflow_missed_is_sent_at_the_end(run, uri, monkeypatch):
    config = config_of(uri)
    with tracking(run, config):
        log = MetricsLog(run, config.logging)
        log.add(ROWS[0])
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "log_batch", lambda *_, **__: 1 / 0)
            log.add(ROWS[1])
        log.add(ROWS[2])
        assert [step for step, _ in history(uri, "train_loss")] == [1, 3]
    assert "MLflow did not take the metrics of epoch 2" in (run.path / "log.txt").read_text()
    assert [step for step, _ in history(uri, "train_loss")] == [1, 2, 3]
    assert run.metrics() == ROWS


def test_a_store_that_goes_away_ends_no_run(run, uri, tmp_path):
    config = config_of(uri)
    with tracking(run, config):
        log = MetricsLog(run, config.logging)
        shutil.rmtree(tmp_path / "mlruns")
        log.add(ROWS[0])
    reported = (run.path / "log.txt").read_text()
    assert "metrics of epoch 1" in reported and "the end of the run (FINISHED)" in reported
    assert run.metrics() == ROWS[:1]


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:1", "http://me@127.0.0.1:1/?token=hunter2", "nonsense://x"]
)
def test_a_server_that_cannot_be_reached_is_said_before_there_is_a_run(tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    config = config_of(uri, output=str(tmp_path / "runs"), name="one")
    with pytest.raises(TrainingError, match=r"^logging\.mlflow: .* cannot be used") as caught:
        trainer.begin_run(config, "x")
    assert "\n" not in str(caught.value) and "hunter2" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_server_that_is_gone_is_not_waited_for_minutes(monkeypatch):
    for name in mlflow_run._PATIENCE:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrainingError):
        check_mlflow("nonsense://x")
    assert {name: os.environ[name] for name in mlflow_run._PATIENCE} == mlflow_run._PATIENCE


@pytest.mark.parametrize("missing", ["mlflow", "mlflow.tracking"])
def test_mlflow_that_is_not_installed_says_what_to_install(tmp_path, monkeypatch, missing):
    for name in ("mlflow.tracking", missing):
        monkeypatch.setitem(sys.modules, name, None)
    config = config_of("http://127.0.0.1:1", output=str(tmp_path / "runs"), name="one")
    with pytest.raises(TrainingError, match=r"needs MLflow. Run `pip install 'raybio\[mlflow\]'`"):
        trainer.begin_run(config, "x")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("mlruns", "file://{here}/mlruns"),
        ("./mlruns", "file://{here}/mlruns"),
        ("file:mlruns", "file://{here}/mlruns"),
        ("file:///there/mlruns", "file:///there/mlruns"),
        ("sqlite:///my.db", "sqlite:///{here}/my.db"),
        ("sqlite:////there/my.db", "sqlite:////there/my.db"),
        ("http://host:5000", "http://host:5000"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_a_relative_place_is_the_same_in_every_process(tmp_path, monkeypatch, given, means):
    monkeypatch.chdir(tmp_path)
    assert mlflow_run._absolute(given) == means.format(here=tmp_path)


def test_the_run_folder_keeps_which_run_it_is(run, uri):
    with tracking(run, config_of(uri)):
        pass
    _, [one] = found(uri)
    assert json.loads((run.path / "mlflow.json").read_text()) == {"uri": uri, "run_id": one.info.run_id}


def test_without_mlflow_there_is_nothing(run):
    with tracking(run, config_of(None)):
        MetricsLog(run, LoggingSection(tensorboard=False)).add(ROWS[0])
    assert not (run.path / "mlflow.json").exists()
