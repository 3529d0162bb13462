"""What training writes of its scores into a model's card."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from raybio.config import CorpusSection, WorkersSection
from raybio.entities import Sentence
from raybio.members import Member
from raybio.run_folder import RunFolder
from raybio.taggers import load_tagger
from raybio.taggers.encoder_card import EncoderCard
from raybio.training import temperature
from raybio.training.recipes import Scoring
from raybio.training.temperature import leave_temperature

DEV = "Naloxone\tB-Chemical\nreverses\tO\nclonidine\tB-Chemical\n.\tO\n\nPain\tB-Disease\nstays\tO\n\n"


class Remote:
    """Runs in this process what a worker would."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def remote(self, *given: Any) -> Any:
        return self._function(*given)


@pytest.fixture
def run(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(temperature, "remote_on", lambda _, function: Remote(function))
    monkeypatch.setattr(temperature.ray, "get", lambda answer: answer)
    folder = RunFolder.create(tmp_path / "run", "job: train-encoder\n")
    shutil.copytree(tiny_encoder, folder.model)
    return folder


SCORING = Scoring(WorkersSection(), seed=1, bootstrap=0, loading={"precision": "fp32"})


def members(folder: Path, **corpus: Any) -> list[Member]:
    files = {split: folder / f"{split}.tsv" for split in ("train", "dev", "test")}
    for file in files.values():
        file.write_text(DEV * 20)
    section = CorpusSection(**{split: str(file) for split, file in files.items()}, **corpus)
    return [Member(section, "own", annotates=frozenset({"Chemical"}))]


def test_the_card_gets_the_temperature_and_nothing_else_changes(run: RunFolder, tmp_path: Path) -> None:
    before = json.loads((run.model / "raybio.json").read_text())
    plain = load_tagger(run.model)
    leave_temperature(run, SCORING, members(tmp_path), run.model)
    after = json.loads((run.model / "raybio.json").read_text())
    assert after.pop("temperature") != 1.0 and before.pop("temperature") == 1.0
    assert after == before
    assert "scores are calibrated on 40 sentences of dev: temperature" in (run.path / "log.txt").read_text()
    assert load_tagger(run.model).labels == plain.labels


def test_where_dev_was_learned_scores_stay_as_they_are(run: RunFolder, tmp_path: Path) -> None:
    """A soup's card is copied from one of its models, which may have a temperature."""
    card = EncoderCard.read(run.model)
    assert card is not None
    card.but(temperature=2.0).write(run.model)
    leave_temperature(run, SCORING, members(tmp_path, train_with_dev=True), run.model)
    read = EncoderCard.read(run.model)
    assert read is not None and read.temperature == 1.0
    assert "dev was learned: scores are not calibrated" in (run.path / "log.txt").read_text()


def test_no_more_sentences_are_read_than_one_number_needs(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temperature, "_SENTENCES", 7)
    seen: list[Any] = []

    def fit(_: object, given: list[Sentence], annotated: list[frozenset[str]]) -> float:
        seen.extend([len(given), *annotated])
        return 1.5

    monkeypatch.setattr(temperature, "fit_temperature", fit)
    leave_temperature(run, SCORING, members(tmp_path), run.model)
    assert seen == [7, *[{"Chemical"}] * 7]
    read = EncoderCard.read(run.model)
    assert read is not None and read.temperature == 1.5
