import importlib.util
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raybio.config import LoggingSection
from raybio.errors import TrainingError
from raybio.run_folder import RunFolder
from raybio.training.metrics_log import MetricsLog

ROWS = [
    {"epoch": 1, "train_loss": 0.5, "dev_strict_f1": 0.25, "note": "kept"},
    {"epoch": 2, "train_loss": 0.25, "dev_strict_f1": 0.5, "note": "kept"},
]


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", "")


def test_tensorboard_can_read_what_is_logged(run):
    log = MetricsLog(run, LoggingSection())
    for row in ROWS:
        log.add(row)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"train_loss", "dev_strict_f1"}
    assert [(e.step, e.value) for e in events.Scalars("train_loss")] == [(1, 0.5), (2, 0.25)]
    assert [(e.step, e.value) for e in events.Scalars("dev_strict_f1")] == [(1, 0.25), (2, 0.5)]
    assert run.metrics() == ROWS


def test_without_tensorboard_the_run_folder_has_the_metrics_all_the_same(run):
    MetricsLog(run, LoggingSection(tensorboard=False)).add(ROWS[0])
    assert run.metrics() == ROWS[:1]
    assert not (run.path / "tensorboard").exists()


def test_mlflow_that_is_not_installed_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrainingError, match=r"needs MLflow. Run `pip install 'raybio\[mlflow\]'`"):
        MetricsLog(run, LoggingSection(tensorboard=False, mlflow="runs/mlflow"))


@pytest.mark.skipif(not importlib.util.find_spec("mlflow"), reason="MLflow is not installed")
def test_mlflow_has_the_metrics(run, tmp_path):
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    log = MetricsLog(run, LoggingSection(tensorboard=False, mlflow=uri))
    for row in ROWS:
        log.add(row)
    client = MlflowClient(tracking_uri=uri)
    [found] = client.search_runs([client.get_experiment_by_name("raybio").experiment_id])
    history = client.get_metric_history(found.info.run_id, "train_loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.25)]
