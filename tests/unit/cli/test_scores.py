"""evaluate and report."""

import json

import pytest

GOLD = "-DOCSTART-\tO\n\nAspirin\tB-Chemical\nhelps\tO\n\n-DOCSTART-\tO\n\nType\tB-Disease\n2\tI-Disease\n"
PREDICTED = "Aspirin\tB-Chemical\nhelps\tO\n\nType\tO\n2\tI-Disease\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "gold.tsv").write_text(GOLD)
    (tmp_path / "pred.tsv").write_text(PREDICTED)
    return "gold.tsv", "pred.tsv"


def test_evaluate_prints_both_scorers(raybio, files):
    outcome = raybio("evaluate", *files)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("2 sentences, 4 words; scores in percent\n")
    assert "0 in gold, 1 in the prediction" in outcome.out


def test_evaluate_json_has_the_promised_shape(raybio, files, tmp_path):
    assert raybio("evaluate", *files, "--json", "scores.json").out.startswith("2 sentences")
    text = raybio("evaluate", *files, "--json", "-").out
    assert (tmp_path / "scores.json").read_text() == text
    scores = json.loads(text)
    for scorer in ("paper", "corrected"):
        assert {"overall", "length_1", "length_2", "length_3plus"} <= set(scores[scorer])
        assert set(scores[scorer]["overall"]) == {"strict", "exact", "partial", "type"}
    assert set(scores["paper"]["overall"]["strict"]) == {
        *(
            "precision",
            "recall",
            "f1",
            "correct",
            "incorrect",
            "partial",
            "missed",
            "spurious",
            "possible",
            "actual",
        )
    }
    assert scores["corrected"]["overall"]["strict"]["f1"] == 0.5


def test_labels_that_gold_does_not_know_are_named_or_renamed(raybio, refused, files, tmp_path):
    (tmp_path / "spelled.tsv").write_text(GOLD.replace("Disease", "DISEASE"))
    outcome = raybio("evaluate", *files[:1], "spelled.tsv")
    assert outcome.code == 0 and "DISEASE of the prediction is no label of gold" in outcome.err
    assert "--rename OLD=NEW" in outcome.err
    (tmp_path / "other.tsv").write_text(GOLD.replace("Disease", "DISEASE").replace("Chemical", "CHEMICAL"))
    assert "no label in common" in refused("evaluate", *files[:1], "other.tsv")
    names = ("--rename", "DISEASE=Disease,CHEMICAL=Chemical", "--json", "-")
    scores = json.loads(raybio("evaluate", *files[:1], "other.tsv", *names).out)
    assert scores["corrected"]["overall"]["strict"]["f1"] == 1.0
    assert raybio("evaluate", *files, "--rename", "a").code == 2


def test_evaluate_draws_documents_where_gold_has_them(raybio, files, tmp_path):
    (tmp_path / "gold.tsv").write_text(GOLD.replace("\n\n-DOCSTART-\tO\n\nType", "\n\nType"))
    found = json.loads(raybio("evaluate", *files, "--bootstrap", 20, "--json", "-").out)
    assert found["corrected"]["intervals"]["unit"] == "document"
    swapped = json.loads(raybio("evaluate", *reversed(files), "--bootstrap", 20, "--json", "-").out)
    assert swapped["corrected"]["intervals"]["unit"] == "sentence"


def test_evaluate_lists_disagreements(raybio, files):
    assert (
        "sentence 1: gold Disease[0:2]; predicted Disease[1:2]"
        in raybio("evaluate", *files, "--disagreements").out
    )


BIOES = "Aspirin\tS-Chemical\nhelps\tO\n\nType\tB-Disease\n2\tE-Disease\n"
BILOU = "Aspirin\tU-Chemical\nhelps\tO\n\nType\tB-Disease\n2\tL-Disease\n"
IO = "Aspirin Chemical\nhelps O\n\nType Disease\n2 Disease\n"
IOB1 = "Aspirin I-Chemical\nhelps O\n\nType I-Disease\n2 I-Disease\n"
ODD = "Aspirin b_chemical\nhelps 0\n\nType b_disease\n2 i_disease\n"


@pytest.mark.parametrize(
    ("gold", "predicted", "schemes"),
    [
        (GOLD, BIOES, ("IOB2", "BIOES")),
        (GOLD, BILOU, ("IOB2", "BILOU")),
        (GOLD, IO, ("IOB2", "IO")),
        (BIOES, GOLD, ("BIOES", "IOB2")),
        (IOB1, BILOU, ("IOB1", "BILOU")),
        (IOB1, IOB1, ("IOB1", "IOB1")),
        (ODD, ODD, ("IOB2", "IOB2")),
        # What could be IOB1 is IOB2 with faults, beside IOB2.
        (GOLD, IOB1, ("IOB2", "IOB2")),
    ],
)
def test_evaluate_reads_any_scheme_and_says_which(raybio, files, tmp_path, gold, predicted, schemes):
    (tmp_path / "gold.tsv").write_text(gold)
    (tmp_path / "pred.tsv").write_text(predicted)
    outcome = raybio("evaluate", *files)
    line = f"tags read as {schemes[0]} in gold.tsv, as {schemes[1]} in pred.tsv\n"
    assert outcome.out.endswith(line) == (set(schemes) != {"IOB2"})
    found = json.loads(raybio("evaluate", *files, "--json", "-").out)
    assert found["corrected"]["overall"]["strict"]["f1"] == 1
    assert found["tag_schemes"] == dict(zip(("gold", "predicted"), schemes, strict=True))


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (
            "Aspirin O\nhelp O\n\nType O\n2 O\n",
            "pred.tsv, line 2: sentence 1 has 'help' where gold.tsv, line 4, has 'helps'",
        ),
        (
            "Aspirin O\nhelps O\n\nType O\n",
            "pred.tsv, line 5: sentence 2 has no more words where gold.tsv, line 9, has '2'",
        ),
        ("Aspirin O\nhelps O\n", "gold.tsv, line 8: sentence 2 is in this file only (2 gold, 1 predicted)"),
        (PREDICTED + "\nmore O\n", "pred.tsv, line 7: sentence 3 is in this file only (2 gold, 3 predicted)"),
        ("Aspirin O\nhelps\n", "pred.tsv, line 2: 'helps' is not a word and a tag"),
        (
            PREDICTED.replace("I-Disease", "Disease"),
            "pred.tsv, line 5: 'Disease' is not an IOB2 tag. Write O, B-LABEL or I-LABEL",
        ),
        ("", "pred.tsv: the file holds no sentence"),
    ],
)
def test_evaluate_refuses_a_prediction_of_other_words_or_tags(refused, files, tmp_path, predicted, message):
    (tmp_path / "pred.tsv").write_text(predicted)
    assert message in refused("evaluate", *files)


def test_evaluate_refusals(refused, raybio, files):
    assert "--disagreements prints text" in refused("evaluate", *files, "--disagreements", "--json", "-")
    assert "missing.tsv: cannot be opened" in refused("evaluate", "missing.tsv", "pred.tsv")
    assert raybio("evaluate", *files, "--bootstrap", "-1").code == 2


@pytest.mark.parametrize("name", ["bc5cdr-test-a", "jnlpba-test-a"])
def test_evaluate_equals_the_known_answers(raybio, corpora, golden, name):
    expected = json.loads((golden / "semeval" / f"{name}.expected.json").read_text())
    gold = corpora.parent / expected["gold"]
    predicted = golden / "semeval" / f"{name}.pred.tsv"
    overall = json.loads(raybio("evaluate", gold, predicted, "--json", "-").out)["paper"]["overall"]
    for measure in ("strict", "partial"):
        ratios = [overall[measure][figure] for figure in ("precision", "recall", "f1")]
        assert ratios == pytest.approx(expected["overall"][measure], abs=1e-9)
        counts = expected["overall"]["counts"][measure]
        assert {figure: overall[measure][figure] for figure in counts} == counts


def test_report_refuses_what_is_no_run_folder(refused):
    assert "nothere is not a run folder" in refused("report", "nothere")


def test_report_lies_in_the_run_folder_or_here_for_several(raybio, monkeypatch):
    monkeypatch.setattr("raybio.reports.html.write_report", lambda runs, output, tagged, quotes: output)
    assert raybio("report", "runs/a") == (0, "runs/a/report.html\n", "")
    assert raybio("report", "runs/a", "runs/b").out == "report.html\n"
    assert raybio("report", "runs/a", "--output", "page.html").out == "page.html\n"


def test_report_takes_run_folders_and_tagged_outputs_as_what_they_are(raybio, monkeypatch, tmp_path):
    (tmp_path / "tagged" / "ledger").mkdir(parents=True)
    (tmp_path / "tagged" / "provenance.json").write_text("{}")
    given = []
    monkeypatch.setattr(
        "raybio.reports.html.write_report",
        lambda runs, output, tagged, quotes: given.append(([*map(str, runs)], [*map(str, tagged)], quotes)),
    )
    raybio("report", "runs/a", "tagged", "--output", "page.html")
    raybio("report", "runs/a", "--no-quotes")
    assert given == [(["runs/a"], ["tagged"], True), (["runs/a"], [], False)]
