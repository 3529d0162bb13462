"""What finished runs say, and the report on it."""

import pytest

from raybio.config import to_yaml
from raybio.errors import UsageError
from raybio.evaluation import evaluate
from raybio.run_folder import RunFolder
from raybio.study.findings import findings, on_dev, on_test
from raybio.study.report import write_study_report
from raybio.study.runs import StudyRun, dev_f1, run_path
from raybio.study.stages import known_runs


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
    variant = {**one, "name": "one-last", "options": {"training.keep_checkpoint": "last", "test": False}}
    study = make_study(models=[{**one, "options": {}}, variant])
    for run in known_runs(study):
        finish(run, 9 if run.model == "one" else 4)
    (pair,) = on_dev(study, findings(study))
    assert (pair.first, pair.second) == ("one-last", "one") and pair.difference.f1 < 0
    page = write_study_report(study).read_text()
    assert "What variants are worth, on dev" in page


def variants(make_study, *options, **changes):
    """Return a study of variants of one train config: `options` of each, named a, b, c."""
    (one, _) = make_study().model_dump(mode="json")["models"]
    models = [{**one, "name": name, "options": each} for name, each in zip("abc", options, strict=False)]
    models[-1].update(changes)
    return make_study(models=models, options={"test": False})


def test_a_variant_may_name_what_it_is_compared_with(make_study, finish):
    study = variants(make_study, {}, {"training.epochs": 2}, {"training.epochs": 3}, variant_of="b")
    for run in known_runs(study):
        finish(run, 5)
    assert [(pair.first, pair.second) for pair in on_dev(study, findings(study))] == [("b", "a"), ("c", "b")]


def test_windows_are_compared_with_cutting_on_the_whole_gold(make_study, finish):
    study = variants(make_study, {}, {"training.long_inputs": "cut"})
    windows, cut = known_runs(study)
    finish(windows, 9)
    finish(cut, 9)
    gold, short = ["B-Chemical", "O", "B-Chemical"], ["B-Chemical", "O"]
    words = ["Aspirin", "and", "ibuprofen"]
    RunFolder(windows.path).write_predictions("dev", [(words, gold, gold)] * 4)
    RunFolder(cut.path).write_predictions("dev", [(words[:2], short, short)] * 3 + [(words, gold, gold)])
    (pair,) = on_dev(study, findings(study))
    assert pair.difference and pair.difference.f1 == pytest.approx(2 * 5 / (5 + 8) - 1)  # 3 of 8 unread
    assert "b read the start of 3 sentences" in pair.note
    page = write_study_report(study).read_text()
    assert pair.note.strip() in page


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(["Aspirin"], ["O"], ["O"])] * 10, "other words or gold tags of dev"),
        ([(["Aspirin"], ["B-Chemical"], ["O"])] * 9, "scored on 9 and 10 sentences of dev"),
    ],
)
def test_what_cannot_be_compared_is_reported_with_the_reason(make_study, finish, rows, why):
    study = variants(make_study, {}, {"training.epochs": 2})
    one, other = known_runs(study)
    finish(one, 5)
    finish(other, 5)
    RunFolder(other.path).write_predictions("dev", rows)
    (pair,) = on_dev(study, findings(study))
    assert pair.difference is None and why in pair.note
    assert f"Not compared: b and a on {pair.corpus}: {pair.note}." in write_study_report(study).read_text()


def test_a_variant_whose_base_is_not_done_is_reported(make_study, finish):
    study = variants(make_study, {}, {"training.epochs": 2})
    finish(known_runs(study)[1], 5)
    (pair,) = on_dev(study, findings(study))
    assert pair.note == "a has no finished run there"


def test_the_table_says_what_in_it_does_not_compare(make_study, finish, tmp_path):
    study = variants(make_study, {}, {"training.long_inputs": "cut"})
    one, other = known_runs(study)
    finish(one, 6)
    finish(other, 6)
    scores = RunFolder(other.path).read_json("scores.json")
    scores["dev"]["sentences"] = 1_400
    scores["dev"]["corrected"]["intervals"] = {"f1": {"low": 0.5, "high": 0.875}}
    RunFolder(other.path).write_json("scores.json", scores)
    text = write_study_report(study, tmp_path / "study.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| b |")]
    assert "75.00* (50.00 to 87.50) of 1,400" in row.replace("\\", "")
    (row,) = [line for line in text.splitlines() if line.startswith("| a |")]
    assert "75.00 of 10" in row
    assert "Where sentences are counted" in text and "is scored on, the start of long sentences" in text


def test_the_report_is_a_page_or_markdown(done, tmp_path):
    page = write_study_report(done).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "Which differences are more than chance" in page
    text = write_study_report(done, tmp_path / "study.md").read_text(encoding="utf-8")
    assert text.startswith("# Study: tiny") and "± " in text


def test_without_a_finished_run_there_is_nothing_to_report(make_study):
    with pytest.raises(UsageError, match="raybio study run"):
        write_study_report(make_study())


def test_a_report_shows_the_points_of_a_search_and_the_losers(make_study, finish, tmp_path):
    study = make_study()
    points = [run for run in known_runs(study) if run.model == "one"]
    finish(points[0], 4)
    with pytest.raises(UsageError, match="no run of the study"):  # nothing is chosen while a point is open
        write_study_report(study)
    finish(points[1], 7)
    text = write_study_report(study, tmp_path / "study.md").read_text(encoding="utf-8").replace("\\", "")
    rows = [line for line in text.splitlines() if "training.learning_rate=" in line]
    assert [[cell.strip(" *") for cell in row.split("|")[2:-1]] for row in rows] == [
        ["one", "training.learning_rate=0.001", "chosen", "1", "82.35"],
        ["one", "training.learning_rate=0.0001", "lost", "1", "57.14"],
        ["two", "training.learning_rate=0.0001", "not done", "0", "–"],
        ["two", "training.learning_rate=0.001", "not done", "0", "–"],
    ]


def test_a_point_that_was_stopped_early_has_the_best_of_its_epochs(make_study, finish, tmp_path):
    study = make_study(search={"method": "asha"})
    (search,) = [run for run in known_runs(study) if run.model == "one"]
    stopped, best = search.configs
    for epoch, f1 in enumerate((0.25, 0.125), 1):
        RunFolder(run_path(stopped)).add_metrics({"epoch": epoch, "dev_strict_f1": f1})
    finish(StudyRun("train", str(best.name), "one", search.corpus, 1, (best,), run_path(best)), 7)
    RunFolder(search.path).write_json("search.json", {"chosen": best.name})
    text = write_study_report(study, tmp_path / "study.md").read_text(encoding="utf-8").replace("\\", "")
    assert "| one | training.learning_rate=0.0001 | stopped early | 2 | 25.00 |" in text


@pytest.fixture
def of_two(make_study, tmp_path):
    """A study of two corpora: a model of each of them, and one of both, all of them done."""
    (one, two) = make_study().model_dump(mode="json")["models"]
    corpora = [
        {**{split: f"{folder}/{split}.tsv" for split in ("train", "dev", "test")}, **names}
        for folder, names in (("drugs", {}), ("genes", {"labels": {"GENE-Y": "Gene"}}))
    ]
    models = [{**one, "options": {}}, {**two, "options": {}, "name": "both", "together": True}]
    study = make_study(models=models, corpora=corpora, measure={"enabled": True})
    for run in known_runs(study):
        if run.model == "both":
            finish_union(run)
        else:
            finish_single(run)
    return study


def finish_single(run):
    write_run(run, {run.corpus: SENTENCES[run.corpus][0]})


def finish_union(run):
    write_run(run, {corpus: sentences for corpus, (_, sentences) in SENTENCES.items()})


RIGHT, MISSED = (["B-Drug", "O"], ["B-Drug", "O"]), (["B-Drug", "O"], ["O", "O"])
FOUND = (["O", "B-Gene"], ["O", "B-Gene"])
SENTENCES = {
    "drugs": ([RIGHT] * 6 + [MISSED] * 4, [RIGHT] * 8 + [MISSED] * 2),
    "genes": ([FOUND] * 10, [FOUND] * 10),
}
"""Gold and predicted tags by corpus: of a model of each, and of that of both."""


def write_run(run, by_corpus):
    folder = RunFolder(run.path)
    folder.write_text("config.yaml", to_yaml(run.config))
    folder.add_metrics({"epoch": 1, "train_loss": 1.0, "dev_strict_f1": 0.5})
    figures = {
        title: evaluate([gold for gold, _ in rows], [tags for _, tags in rows]).to_dict()
        for title, rows in by_corpus.items()
    }
    rows = [row for each in by_corpus.values() for row in each]
    whole = evaluate([gold for gold, _ in rows], [tags for _, tags in rows]).to_dict()
    scores = {**whole, "corpora": figures} if len(figures) > 1 else whole
    folder.write_json("scores.json", dict.fromkeys(("dev", "test"), scores))
    for split in ("dev", "test"):
        folder.write_predictions(split, [(["aspirin", "p53"], *row) for row in rows])


def test_a_model_of_all_corpora_stands_beside_those_of_each(of_two):
    found = {(each.model, each.corpus): each for each in findings(of_two)}
    assert list(found) == [("one", "drugs"), ("one", "genes"), ("both", "drugs"), ("both", "genes")]
    assert found["both", "drugs"].mean("test") == pytest.approx(8 * 2 / 18)
    assert found["both", "genes"].mean("test") == 1.0
    pairs = {pair.corpus: pair for pair in on_test(list(found.values()))}
    assert pairs["drugs"].difference.f1 == pytest.approx(2 * 6 / 16 - 2 * 8 / 18)
    assert pairs["genes"].difference.f1 == 0
    page = write_study_report(of_two).read_text()
    assert "first 10 documents" not in page and "both" in page and "genes" in page


def test_it_is_measured_on_each_corpus_by_the_labels_of_that(of_two):
    measured = [run.config.corpora for run in known_runs(of_two) if run.kind == "measure"]
    (alone,), (renamed,), (drugs, genes) = measured
    assert (drugs.annotates, drugs.labels) == (("Drug",), {})
    assert (genes.annotates, genes.labels) == (("Gene",), {"GENE-Y": "Gene"})
    assert (alone.annotates, renamed.labels) == (None, {"GENE-Y": "Gene"})


def test_dev_chooses_by_the_mean_of_corpora(of_two):
    (both,) = (run for run in known_runs(of_two) if (run.kind, run.model) == ("train", "both"))
    assert dev_f1(both.path) == pytest.approx((8 * 2 / 18 + 1) / 2)
