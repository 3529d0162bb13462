"""The page: its figures, its escaping, what it says of what is missing, and that it needs nothing."""

import json
import re
from pathlib import Path

import lxml.html
import pytest
from lxml import etree

from raybio.errors import FormatError, UsageError
from raybio.reports import write_report
from raybio.reports.blocks import Chapter, Piece, Report, Section, TaggedText
from raybio.reports.html import render_html
from raybio.reports.sources import read_run
from raybio.run_folder import RunFolder


def page_of(path: Path) -> lxml.html.HtmlElement:
    return lxml.html.fromstring(path.read_text(encoding="utf-8"))


def text_of(path: Path) -> str:
    body = page_of(path).find("body")
    return re.sub(r"\s+", " ", body.text_content())


def percents(scores: dict) -> set[str]:
    """Every ratio of the strict measure that the page should show."""
    groups = [scores["paper"], scores["corrected"], scores["corrected"]["by_label"]]
    each = [group[name]["strict"] for group in groups for name in group if "strict" in (group[name] or {})]
    return {f"{100 * strict[name]:.2f}" for strict in each for name in ("precision", "recall", "f1")}


def test_it_shows_the_figures_of_the_run(make_run, tmp_path):
    run = make_run()
    scores = json.loads((run / "scores.json").read_text())["test"]
    page = write_report([run], tmp_path / "deep" / "report.html")
    text = text_of(page)
    assert page == tmp_path / "deep" / "report.html"
    assert [figure for figure in percents(scores) if figure not in text] == []
    interval = scores["corrected"]["intervals"]["f1"]
    assert f"{100 * interval['low']:.2f} to {100 * interval['high']:.2f}" in text
    main = page_of(page).find_class("headline")[0]
    assert f"{100 * scores['corrected']['overall']['strict']['f1']:.2f}" in main[0].text_content()
    assert f"{100 * scores['paper']['overall']['strict']['f1']:.2f}" in main[1].text_content()
    assert "paper scorer" in main[1].text_content()


def test_words_are_text_and_never_markup(make_run, tagged, tmp_path):
    hostile = make_run(name="a&b", model="</style><img src=x onerror=alert(1)>")
    page = write_report([hostile], tmp_path / "report.html", [tagged])
    source = page.read_text(encoding="utf-8")
    assert "<script" not in source and "<img" not in source
    text = text_of(page)
    assert "<script>alert('|')</script> causes nausea" in text  # in an example
    assert "<script>alert('|')</script> Gene against fever." in text  # in a tagged document


def test_it_is_well_formed_and_needs_nothing_but_itself(make_run, tagged, tmp_path):
    page = write_report([make_run("a"), make_run("b", seed=8)], tmp_path / "report.html", [tagged])
    source = page.read_text(encoding="utf-8")
    # As XML, with void tags closed, every tag must match: HTML parsers would repair it silently.
    closed = re.sub(r"<(meta[^>]*)>", r"<\1/>", source).replace("<!DOCTYPE html>", "")
    tree = etree.fromstring(closed.encode())
    addresses = [
        value for element in tree.iter() for name, value in element.attrib.items() if name in ("src", "href")
    ]
    ids = list(tree.xpath("//@id"))
    assert addresses == [f"#{each}" for each in ids] and len(ids) == len(set(ids)) == 4
    assert not tree.xpath("//script | //link | //img | //iframe")
    assert "url(" not in source and "@import" not in source


def test_every_colour_of_an_entity_is_defined(make_run, tmp_path):
    source = write_report([make_run()], tmp_path / "report.html").read_text(encoding="utf-8")
    used = set(re.findall(r'<mark class="(c\d)', source))
    assert used == {"c0", "c1"}
    assert all(f"mark.{colour} {{ background: var(--{colour})" in source for colour in used)


def test_a_label_that_no_scores_have_has_a_colour():
    shown = TaggedText("d", (Piece("fever", "Symptom"), Piece(" and "), Piece("aspirin", "Drug")))
    page = render_html(Report("t", "l", (Chapter("c", (), (Section("s", (shown,)),)),)))
    assert re.findall(r'<mark class="(c\d)">(\w+)', page) == [("c1", "fever"), ("c0", "aspirin")]


def test_examples_show_each_kind_of_error(make_run, tmp_path):
    page = page_of(write_report([make_run()], tmp_path / "report.html"))
    shown = {heading.text for heading in page.iter("h4")}
    assert shown == {"Missed", "Spurious", "Wrong boundary", "Wrong label", "Wrong boundary and label"}
    differing = {mark.text_content() for mark in page.find_class("differs")}
    assert "severe renal failure Disease wrong boundary" in differing
    assert "renal failure Disease wrong boundary" in differing
    assert "fever Chemical wrong label" in differing
    assert "rash Disease spurious" in differing
    assert "cocaine Chemical missed" in differing


def test_several_runs_are_compared(make_run, tmp_path):
    page = write_report([make_run("a"), make_run("b", seed=8)], tmp_path / "report.html")
    text = text_of(page)
    assert "2 runs compared" in text
    options = page_of(page).xpath("//figure[contains(figcaption, 'differ')]//tr")
    assert [row.xpath("./*/text()") for row in options] == [["option", "a", "b"], ["seed", "7", "8"]]
    assert "BiomedBERT (large-uncased) (336M)" in text and "88.42" in text
    assert text.count("Beside the study: BC5CDR") == 1


def test_runs_of_two_corpora_never_share_an_axis(make_run, tmp_path):
    other = {"name": "BioRED", "protocol": "corrected", "max_documents": None}
    runs = [make_run("a"), make_run("b", seed=8), make_run("c", corpus=other), make_run("d", corpus=other)]
    page = page_of(write_report(runs, tmp_path / "report.html"))
    plots = {
        figure.find("figcaption").text: [row.text_content() for row in figure.xpath(".//div/span[1]")]
        for figure in page.xpath("//figure[div[@class='dots']]")
    }
    of_test = {caption: names for caption, names in plots.items() if "corrected scorer" in caption}
    assert [caption.split(" test, ")[0] for caption in of_test] == [
        "Strict F1 on BC5CDR",
        "Strict F1 on BioRED",
    ]
    bc5cdr, biored = of_test.values()
    assert {"a", "b"} <= set(bc5cdr) and not {"c", "d"} & set(bc5cdr)
    assert {"c", "d"} <= set(biored) and not {"a", "b"} & set(biored)
    header, *rows = page.xpath("//figure[contains(figcaption, 'runs side by side')]//tr")
    assert [cell.text for cell in header][:3] == ["run", "corpus", "split"]
    assert [row.xpath("./*/text()")[1] for row in rows] == ["BC5CDR", "BC5CDR", "BioRED", "BioRED"]


def test_a_partial_run_is_marked_beside_the_study(make_run, tmp_path):
    run = make_run(corpus={"name": "BC5CDR", "max_documents": 200})
    text = text_of(write_report([run], tmp_path / "report.html"))
    assert "Not like for like" in text and "first (first 200 documents)" in text
    assert "only the first 200 documents of each split" in text


def test_a_dev_that_was_learned_is_reported(make_run, tmp_path):
    run = make_run(splits=["test"], corpus={"name": "BC5CDR", "max_documents": None, "train_with_dev": True})
    (run / "splits.json").write_text('{"train": "train and dev", "dev": "dev"}')
    text = text_of(write_report([run], tmp_path / "report.html"))
    assert "BC5CDR, learned from train and dev" in text


@pytest.fixture
def rebuilt(make_run):
    """A run that learned from a part of a train split that is not the corpus's own."""
    path = make_run("rebuilt", corpus={"name": "JNLPBA", "max_documents": None, "max_train_documents": 4_560})
    (path / "splits.json").write_text('{"train": "rebuilt train", "dev": "the last 25% of dev"}')
    return path


def test_what_stood_for_train_is_reported_of_a_run_and_beside_the_study(rebuilt, tmp_path):
    text = text_of(write_report([rebuilt], tmp_path / "report.html"))
    learned = "the first 4,560 documents of rebuilt train"
    assert f"JNLPBA, learned from {learned}, chosen on the last 25% of dev" in text
    assert f"the study learned from the whole of train, rebuilt from {learned}." in text


def test_what_stood_for_train_is_reported_of_compared_runs(rebuilt, make_run, tmp_path):
    other = make_run("part", corpus={"name": "JNLPBA", "max_documents": 20})
    page = page_of(write_report([rebuilt, other], tmp_path / "report.html"))
    assert "Only the first 20 documents of each split were read by part." in page.text_content()
    rows = page.xpath("//figure[contains(figcaption, 'The runs side by side')]//tr")
    reported = [row.xpath("./*[3]")[0].text_content() for row in rows]
    assert reported == ["learned from", "the first 4,560 documents of rebuilt train", "train"]


def test_another_corpus_has_nothing_beside_it(make_run, tmp_path):
    run = make_run(corpus={"name": None, "train": "/data/mine/train.tsv", "test": "/data/mine/test.tsv"})
    text = text_of(write_report([run], tmp_path / "report.html"))
    assert "minilm on mine" in text and "Beside the study" not in text


def test_without_a_test_split_it_says_so(make_run, tmp_path):
    text = text_of(write_report([make_run(splits=["dev"])], tmp_path / "report.html"))
    assert "not scored on a test split" in text
    assert "Strict F1 on dev, corrected scorer" in text
    assert "Beside the study" not in text


def test_an_unfinished_run_says_what_is_missing(make_run, tmp_path):
    run = make_run(splits=[], metrics=False)
    (run / "environment.json").unlink()
    text = text_of(write_report([run], tmp_path / "report.html"))
    for missing in ("scores.json", "predictions/test.tsv", "metrics.jsonl", "environment.json"):
        assert missing in text


def test_scores_without_predictions_or_intervals(make_run, tmp_path):
    run = make_run(predictions=False)
    scores = json.loads((run / "scores.json").read_text())
    scores["test"]["corrected"]["intervals"] = None
    (run / "scores.json").write_text(json.dumps(scores))
    text = text_of(write_report([run, make_run("b", splits=[])], tmp_path / "report.html"))
    assert "There are no examples: predictions/test.tsv is not in the run folder" in text
    assert "no interval was drawn" in text


def test_the_learning_curve_marks_the_kept_epoch(make_run, tmp_path):
    run = make_run()
    page = page_of(write_report([run], tmp_path / "report.html"))
    assert len(page.find_class("curve")) == 2
    assert "the model of epoch 2 was kept" in page.text_content()
    assert [mark.text_content() for mark in page.find_class("value")] == ["0.3", "75.00", "62.50"]
    (run / "metrics.jsonl").write_text('{"epoch": 1, "train_loss": NaN, "dev_strict_f1": 0.0}\n')
    text = text_of(write_report([run], tmp_path / "report.html"))
    assert "1 epoch:" in text and "nan" not in text


def test_half_a_line_of_metrics_that_a_killed_run_left_is_left_out(make_run, tmp_path, caplog):
    run = make_run()
    whole = '{"epoch": 1, "train_loss": 0.5, "dev_strict_f1": 0.25}\n'
    (run / "metrics.jsonl").write_text(whole + '{"epoch": 2, "train_')
    assert "1 epoch:" in text_of(write_report([run], tmp_path / "report.html"))
    assert "its last line was cut off" in caplog.text


def test_the_kept_epoch_is_that_of_the_scorer_that_chose(make_run):
    path = make_run(
        metrics=False, training={"keep_checkpoint": "best", "metric_for_best_model": "dev_paper_strict_f1"}
    )
    rows = [{"epoch": 1, "dev_strict_f1": 0.1, "dev_paper_strict_f1": 0.9}]
    rows += [{"epoch": 2, "dev_strict_f1": 0.9, "dev_paper_strict_f1": 0.1}]
    for row in rows:
        RunFolder(path).add_metrics(row)
    assert read_run(path).kept_epoch == 1


def test_tagging_is_reported_and_shown(tagged, tmp_path):
    page = write_report([], tmp_path / "report.html", [tagged])
    text = text_of(page)
    assert "Documents a second3.00measured: 1,200 in 400.0 s of tagging" in text
    assert "no title" in text and "record 3" in text
    assert next(page_of(page).iter("mark")).text == "Aspirin"


def test_what_formats_have_no_place_for_is_reported(tagged, tmp_path):
    summary = json.loads((tagged / "summary.json").read_text())
    (tagged / "summary.json").write_text(json.dumps(summary | {"lost": {"brat": {"passages": 3}}}))
    assert "brat holds no passages: 3 left out" in text_of(
        write_report([], tmp_path / "report.html", [tagged])
    )


def test_tagging_without_summary_or_text(tagged, tmp_path):
    (tagged / "summary.json").unlink()
    (tagged / "jsonl" / "in-00000.jsonl").unlink()
    text = text_of(write_report([], tmp_path / "report.html", [tagged]))
    assert "summary.json" in text and "There are no documents to show" in text


def test_credentials_in_the_configuration_are_left_out(make_run, tmp_path):
    run = make_run(logging={"mlflow": "https://me:hunter2@host/x"})
    source = write_report([run], tmp_path / "report.html").read_text()
    assert "hunter2" not in source and "https://***@host/x" in source


def test_what_is_not_a_run_is_refused(make_run, tmp_path):
    with pytest.raises(UsageError, match="nothing to report"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(UsageError, match=r"no config\.yaml"):
        write_report([tmp_path], tmp_path / "report.html")
    with pytest.raises(UsageError, match=r"no provenance\.json"):
        write_report([make_run()], tmp_path / "report.html", [tmp_path])
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("scores.json", "{", "scores.json"),
        ("metrics.jsonl", '{"epoch": 1}\n{"epo\n{"epoch": 2}\n', "line 2"),
        ("predictions/test.tsv", "a\tO\n", "line 1: 2 columns"),
        ("config.yaml", "a: [", "not YAML"),
        ("config.yaml", "just words", "no options"),
    ],
)
def test_a_broken_file_is_named(make_run, tmp_path, name, content, place):
    run = make_run()
    (run / name).write_text(content)
    with pytest.raises(FormatError, match=place):
        write_report([run], tmp_path / "report.html")
