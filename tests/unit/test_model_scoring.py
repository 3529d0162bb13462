"""`raybio score`: any tagger on any text with gold."""

import json
from pathlib import Path

import pytest

from raybio.cli import main
from raybio.evaluation import evaluate
from raybio.reports.sources import read_run

TSV = (
    "-DOCSTART-\tO\n\nNaloxone\tB-Chemical\nreverses\tO\nclonidine\tB-Chemical\n.\tO\n\n"
    "Pain\tB-Disease\nstays\tO\n"
)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/test.tsv").write_text(TSV)
    return "mine/test.tsv"


def test_figures_and_predictions_are_as_a_report_reads_them(corpus, tiny_encoder, capsys):
    words = ["score", str(tiny_encoder), corpus, "--name", "here", "--bootstrap", "10", "--json", "-"]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    run = read_run(Path("runs/here"))
    assert (run.corpus_name, run.split, printed["run"]) == ("mine", "test", str(Path("runs/here").absolute()))
    sentences = run.predictions["test"]
    assert [s.words[0] for s in sentences] == ["Naloxone", "Pain"]
    assert [s.gold for s in sentences] == [("B-Chemical", "O", "B-Chemical", "O"), ("B-Disease", "O")]
    again = evaluate([list(s.gold) for s in sentences], [list(s.predicted) for s in sentences]).to_dict()
    assert run.scores["test"]["corrected"]["overall"] == again["corrected"]["overall"]
    assert run.scores["test"]["corrected"]["intervals"]["unit"] == "document"


def test_the_title_is_as_asked_and_labels_without_a_match_are_refused(corpus, tiny_encoder, capsys):
    assert (
        main(["score", str(tiny_encoder), corpus, "--name", "a", "--title", "Own", "--bootstrap", "0"]) == 0
    )
    assert read_run(Path("runs/a")).corpus_name == "Own"
    Path(corpus).write_text(TSV.replace("Chemical", "CHEM").replace("Disease", "DIS"))
    assert main(["score", str(tiny_encoder), corpus, "--name", "b", "--bootstrap", "0"]) == 2
    assert "no label in common" in capsys.readouterr().err and not Path("runs/b").exists()
    names = ["--rename", "Chemical=CHEM,Disease=DIS"]
    assert main(["score", str(tiny_encoder), corpus, "--name", "b", "--bootstrap", "0", *names]) == 0


def test_text_without_gold_is_refused(corpus, tiny_encoder, capsys):
    Path("raw.txt").write_text("Naloxone reverses clonidine.")
    assert main(["score", str(tiny_encoder), "raw.txt"]) == 2
    assert "raw.txt, document raw: it has no annotations to score against" in capsys.readouterr().err
