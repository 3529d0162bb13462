"""What finished runs say, and the report on it."""

import pytest

from raybio.errors import UsageError
from raybio.study.findings import findings, on_dev, on_test
from raybio.study.report import write_study_report
from raybio.study.runs import known_runs


@pytest.fixture
def done(make_study, finish):
    """A study of two models and two seeds in which everything is done: `one` finds 5 or 7, `two` 9 or 8."""
    plain = [{**model, "options": {}} for model in make_study().model_dump(mode="json")["models"]]
    study = make_study(models=plain, seeds=[1, 2])
    found = {("one", 1): 5, ("one", 2): 7, ("two", 1): 9, ("two", 2): 8}
    for _ in range(2):  # what dev chose has other seeds
        for run in known_runs(study):
            if run.kind == "train" and not run.done:
                finish(run, found[run.model, run.seed], "dev", "test")
    return study


def test_seeds_have_a_mean_and_a_spread(done):
    one, two = findings(done)
    assert one.mean("test") == pytest.approx((2 * 5 / 15 + 2 * 7 / 17) / 2)
    assert one.spread("test") > 0 and len(two.f1s("test")) == 2


def test_models_are_compared_on_the_same_sentences(done):
    (pair,) = on_test(findings(done))
    assert (pair.first, pair.second, pair.corpus) == ("one", "two", pair.corpus)
    assert pair.difference.f1 < 0 and 0 < pair.difference.p_value < 0.2


def test_variants_are_compared_on_dev_with_what_they_vary(make_study, finish):
    (one, _) = make_study().model_dump(mode="json")["models"]
    variant = {**one, "name": "one-last", "options": {"training.keep": "last", "test": False}}
    study = make_study(models=[{**one, "options": {}}, variant])
    for run in known_runs(study):
        finish(run, 9 if run.model == "one" else 4)
    (pair,) = on_dev(study, findings(study))
    assert (pair.first, pair.second) == ("one-last", "one") and pair.difference.f1 < 0
    page = write_study_report(study).read_text()
    assert "What variants are worth, on dev" in page


def test_the_report_is_a_page_or_markdown(done, tmp_path):
    page = write_study_report(done).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "Which differences are more than chance" in page
    text = write_study_report(done, tmp_path / "study.md").read_text(encoding="utf-8")
    assert text.startswith("# Study: tiny") and "± " in text


def test_without_a_finished_run_there_is_nothing_to_report(make_study):
    with pytest.raises(UsageError, match="raybio study run"):
        write_study_report(make_study())
