"""What is kept of a scored split."""

import json
from pathlib import Path

import pytest
from samples import sentence_of_words

from raybio.bio_output import Malformed
from raybio.config import CorpusSection, WorkersSection
from raybio.progress import ProgressReports
from raybio.run_folder import RunFolder
from raybio.taggers import Tags
from raybio.training import scoring
from raybio.training.recipes import Scoring
from raybio.training.scoring import _score


def test_what_could_not_be_read_is_kept_and_counted(tmp_path: Path) -> None:
    corpus = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
    how = Scoring(corpus, WorkersSection(), seed=1, bootstrap=0)
    sentences = [sentence_of_words("Aspirin", "helps"), sentence_of_words("so", "it", "does")]
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

    # Scored anew, nothing of the scoring before stays.
    assert _score(how, RunFolder(tmp_path), "dev", sentences[:1], tagged[:1])["malformed"] == 0
    assert not (tmp_path / "predictions/dev.malformed.jsonl").exists()


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
