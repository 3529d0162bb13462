import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from raybio.config import LoggingSection
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
