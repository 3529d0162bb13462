"""A trial of ASHA: what it tells Tune, and when; training and Tune are stood in for."""

import pytest

from raybio.errors import TrainingError
from raybio.run_folder import RunFolder
from raybio.study import asha
from raybio.study.runs import known_runs


@pytest.fixture
def trial(make_study, monkeypatch):
    """Run a trial whose two epochs are learned and which ends as `end` does; return the epochs told."""
    reported = []
    monkeypatch.setattr(asha.tune, "report", lambda metrics: reported.append(metrics["epoch"]))
    monkeypatch.setattr(asha, "_LOOK_SECONDS", 0.01)

    def run(end):
        (search, *_) = known_runs(make_study(search={"method": "asha"}, options={"training.epochs": 2}))
        points = search.configs

        def train(point):
            folder = RunFolder(asha.run_path(point))
            folder.write_text("config.yaml", "")
            for epoch in (1, 2):
                folder.add_metrics({"epoch": epoch, point.training.metric_for_best_model: 0.5})
            end(reported)

        monkeypatch.setattr(asha, "train", train)
        asha._trial({"point": 0}, points)

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
