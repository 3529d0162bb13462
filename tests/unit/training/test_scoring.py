"""What is kept of a scored split."""

import json
from pathlib import Path

from samples import sentence_of_words

from raybio.bio_output import Malformed
from raybio.config import CorpusSection, TrainDecoderConfig
from raybio.run_folder import RunFolder
from raybio.taggers import Tags
from raybio.training.scoring import _score


def test_what_could_not_be_read_is_kept_and_counted(tmp_path: Path) -> None:
    corpus = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
    config = TrainDecoderConfig(job="train-decoder", model="m", corpus=corpus, bootstrap=0)
    sentences = [sentence_of_words("Aspirin", "helps"), sentence_of_words("so", "it", "does")]
    faults = (
        Malformed("missing word", None, "", range(1, 3)),
        Malformed("extra word", 2, "it:O:O", range(3, 3)),
    )
    tagged = [Tags(("B-Drug", "O"), (0.9, 0.8)), Tags(("O", "O", "O"), (0.7, 0.0, 0.0), None, faults)]

    scores = _score(config, RunFolder(tmp_path), "dev", sentences, tagged)
    assert (scores["malformed"], scores["sentences"]) == (2, 2)
    lines = (tmp_path / "predictions/dev.malformed.jsonl").read_text("utf-8").splitlines()
    assert [(one["reason"], one["written"], one["words"]) for one in map(json.loads, lines)] == [
        ("missing word", "", ["it", "does"]),
        ("extra word", "it:O:O", []),
    ]

    # Scored anew, nothing of the scoring before stays.
    assert _score(config, RunFolder(tmp_path), "dev", sentences[:1], tagged[:1])["malformed"] == 0
    assert not (tmp_path / "predictions/dev.malformed.jsonl").exists()
