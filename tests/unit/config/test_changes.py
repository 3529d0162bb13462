"""What differs between two configs."""

from raybio.config import changes


def test_only_what_differs_is_reported_by_its_dotted_key(train):
    before = train("seed: 1\ntraining: {epochs: 3, dropout: 0.1}\n")
    after = train("seed: 1\ntraining: {epochs: 5}\nlogging: {tensorboard: false}\n")
    assert sorted(map(str, changes(before, after))) == [
        "logging.tensorboard: true, now false",
        "training.dropout: 0.1, now null",
        "training.epochs: 3, now 5",
    ]
    assert changes(before, before) == []


def test_a_section_that_holds_nothing_is_a_value(train):
    before, after = train("sweep: {}\n"), train("sweep: {training.epochs: [1, 2]}\n")
    assert {change.key for change in changes(before, after)} == {"sweep", "sweep.training.epochs"}
