"""A trial of ASHA: what it reports to Tune, and when; training and Tune are stood in for."""

import pytest

from raybio.errors import TrainingError
from raybio.run_folder import RunFolder
from raybio.study import points
from raybio.study.stages import known_runs


@pytest.fixture
def trial(make_study, monkeypatch):
    """Run a trial of two epochs and which ends as `end` does; return the epochs reported."""
    reported = []
    monkeypatch.setattr(points.tune, "report", lambda metrics: reported.append(metrics["epoch"]))
    monkeypatch.setattr(points, "_LOOK_SECONDS", 0.01)

    def run(end):
        (search, *_) = known_runs(make_study(search={"method": "asha"}, options={"training.epochs": 2}))

        def train(point):
            folder = RunFolder(points.run_path(point))
            folder.write_text("config.yaml", "")
            for epoch in (1, 2):
                folder.add_metrics({"epoch": epoch, point.training.metric_for_best_model: 0.5})
            end(reported)

        monkeypatch.setattr(points, "train", train)
        points._trial({"point": 0}, search.configs)

    return run, reported


def test_the_last_epoch_is_reported_when_the_training_has_ended(trial):
    run, reported = trial
    seen = []
    run(lambda reported: seen.append(list(reported)))
    assert reported == [1, 2]
    assert 2 not in seen[0]


def test_a_failure_is_reported_and_not_the_last_epoch_of_it(trial):
    run, reported = trial

    def fail(_):
        raise TrainingError("no room for what scores it")

    with pytest.raises(TrainingError, match="no room"):
        run(fail)
    assert 2 not in reported
