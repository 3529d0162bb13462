"""Studies whose runs are written by hand: nothing is trained."""

import json
from pathlib import Path

import pytest
from studies import study_of, train_file

from raybio.config import to_yaml
from raybio.corpora.sample import SampleFiles
from raybio.evaluation import evaluate
from raybio.run_folder import RunFolder

WORDS = ["Aspirin", "helps", "."]
GOLD = ["B-Chemical", "O", "O"]


@pytest.fixture
def make_study(tmp_path):
    """Make a study of the models `one` and `two` at two rates each; `changes` replace its fields."""
    sample = SampleFiles(*(tmp_path / name for name in "abcdef"))
    files = {name: train_file(tmp_path, name, Path("nowhere")) for name in ("one", "two")}
    sweep = {"sweep": {"training.learning_rate": [1e-4, 1e-3]}}
    models = [{"name": name, "config": str(path), "options": sweep} for name, path in files.items()]

    def make(**changes):
        return study_of(tmp_path / "studies", files, sample, **{"models": models, **changes})

    return make


@pytest.fixture
def finish():
    """Write the result of a run: as many of `right` sentences of 10 are tagged as gold says."""

    def write(run, right, *splits):
        folder = RunFolder(run.path)
        found = json.loads((run.path / "scores.json").read_text()) if run.done else {}
        folder.write_text("config.yaml", to_yaml(run.config))
        folder.add_metrics({"epoch": 1, "train_loss": 1.0, "dev_strict_f1": right / 10})
        predicted = [GOLD if i < right else ["O", "O", "O"] for i in range(10)]
        for split in splits or ("dev",):
            found[split] = evaluate([GOLD] * 10, predicted).to_dict()
            folder.write_predictions(split, [(WORDS, GOLD, tags) for tags in predicted])
        folder.write_json("scores.json", found)

    return write
