"""What is kept of a scored split."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from samples import sentence_of_words

from raybio.bio_output import Malformed
from raybio.config import CorpusSection, WorkersSection
from raybio.entities import Span
from raybio.members import Member
from raybio.progress import ProgressReports
from raybio.run_folder import RunFolder
from raybio.taggers import Tags
from raybio.training import scoring
from raybio.training.recipes import Scoring
from raybio.training.scoring import _score

SECTION = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")


def test_what_could_not_be_read_is_kept_and_counted(tmp_path: Path) -> None:
    how = Scoring(WorkersSection(), seed=1, bootstrap=0)
    member = Member(SECTION, "drugs")
    texts = [("Aspirin", "helps"), ("so", "it", "does")]
    sentences = [(member, sentence_of_words(*words)) for words in texts]
    faults = (
        Malformed("missing word", None, "", range(1, 3)),
        Malformed("extra word", 2, "it:O:O", range(3, 3)),
    )
    tagged = [Tags(("B-Drug", "O"), (0.9, 0.8)), Tags(("O", "O", "O"), (0.7, 0.0, 0.0), None, faults)]

    scores = _score(how, RunFolder(tmp_path), "dev", sentences, tagged)
    assert (scores["malformed"], scores["sentences"]) == (2, 2)
    lines = (tmp_path / "predictions/dev.malformed.jsonl").read_text("utf-8").splitlines()
    assert [(one["reason"], one["written"], one["words"]) for one in map(json.loads, lines)] == [
        ("missing word", "", ["it", "does"]),
        ("extra word", "it:O:O", []),
    ]

    # Scored again, nothing of the scoring before stays.
    assert _score(how, RunFolder(tmp_path), "dev", sentences[:1], tagged[:1])["malformed"] == 0
    assert not (tmp_path / "predictions/dev.malformed.jsonl").exists()


def test_each_corpus_is_scored_on_its_own_labels(tmp_path: Path) -> None:
    drugs = Member(SECTION, "drugs", annotates=frozenset({"Drug"}))
    genes = Member(SECTION, "genes", annotates=frozenset({"Gene"}))
    of_drugs, of_genes = (
        replace(sentence_of_words("Aspirin", "inhibits", "COX2"), gold=(Span(at, at + 1, label),))
        for at, label in ((0, "Drug"), (2, "Gene"))
    )
    said = Tags(("B-Drug", "O", "B-Gene"), (1.0, 1.0, 1.0))
    missed = Tags(("B-Drug", "B-Gene", "O"), (1.0, 1.0, 1.0))
    how = Scoring(WorkersSection(), seed=1, bootstrap=0)
    chosen = [(drugs, of_drugs), (genes, of_genes), (genes, of_genes)]

    scores = _score(how, RunFolder(tmp_path), "test", chosen, [said, said, missed])
    f1s = {title: each["corrected"]["overall"]["strict"]["f1"] for title, each in scores["corpora"].items()}
    assert f1s == {"drugs": 1.0, "genes": 0.5}
    assert scores["mean_strict_f1"] == 0.75
    assert scores["corpora"]["genes"]["malformed"] == 0 and scores["corpora"]["drugs"]["reliability"]["bins"]
    pooled = scores["corrected"]["overall"]["strict"]
    assert (pooled["correct"], pooled["spurious"], pooled["missed"]) == (2, 1, 1)
    kept = (tmp_path / "predictions/test.tsv").read_text().split("\n\n")[0]
    assert kept == "Aspirin\tB-Drug\tB-Drug\ninhibits\tO\tO\nCOX2\tO\tO"


def test_pieces_of_all_workers_come_together_and_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers hand over pieces in any order; each keeps its own."""
    answers = [[Tags((tag,), (1.0,))] for tag in "abcde"]
    first, second = iter(answers[:2]), iter(answers[2:])
    turns = iter([second, first, second, second, second, first, first])
    monkeypatch.setattr(scoring.ray, "wait", lambda streams, num_returns: ([next(turns)], []))
    monkeypatch.setattr(scoring.ray, "get", lambda piece: piece)
    lines: list[str] = []
    monkeypatch.setattr("raybio.progress._EVERY_SECONDS", 0.0)
    reports = ProgressReports(lines.append, "scoring", "sentence", 5)
    parts = scoring._collect([first, second], reports)
    assert [[tags.tags[0] for tags in part] for part in parts] == [["a", "b"], ["c", "d", "e"]]
    assert lines == [f"scoring: sentence {done} of 5" for done in range(6)]


def test_a_share_is_handed_over_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tagger:
        def tag(self, sentences: list[int]) -> list[int]:
            return [10 * sentence for sentence in sentences]

    monkeypatch.setattr(scoring, "load_tagger", lambda model: Tagger())
    monkeypatch.setattr(scoring, "_PIECE_SENTENCES", 2)
    assert list(scoring._tag_share(Path("m"), range(1, 6), {})) == [[10, 20], [30, 40], [50]]
    assert list(scoring._tag_share(Path("m"), [], {})) == []
