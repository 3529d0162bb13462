"""The tables of reports."""

from raybio.reports.sources import read_run
from raybio.reports.tables import difference_table


def rows(*paths):
    table = difference_table([read_run(path) for path in paths])
    return {} if table is None else {row[0]: row[1:] for row in table.rows}


def test_an_option_of_some_jobs_alone_is_compared_among_their_runs(make_run):
    one = make_run("one", job="train-encoder", training={"epochs": 1, "dropout": 0.1})
    other = make_run("other", job="train-encoder", training={"epochs": 2, "dropout": 0.1})
    joined = make_run("joined", job="cascade", training={}, budget=0.2)
    assert rows(one, other, joined) == {
        "job": ("train-encoder", "train-encoder", "cascade"),
        "training.epochs": ("1", "2", "–"),
    }


def test_an_option_that_one_of_two_runs_of_a_job_lacks_is_shown(make_run):
    before = make_run("before", job="train-encoder", training={})
    now = make_run("now", job="train-encoder", training={"epochs": 2})
    assert rows(before, now)["training.epochs"] == ("–", "2")
    assert rows(now, now) == {}
