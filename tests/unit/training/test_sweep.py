"""A sweep chooses on dev, and touches test once; a soak test trains one for real."""

from pathlib import Path
from typing import Any

import pytest

from raybio.config import TrainEncoderConfig
from raybio.run_folder import RunFolder
from raybio.training import sweep
from raybio.training.fit import TrainedModel


@pytest.fixture
def config(tmp_path: Path) -> TrainEncoderConfig:
    file = tmp_path / "all.tsv"
    file.write_text("Aspirin\tB-Chemical\n")
    return TrainEncoderConfig.model_validate(
        {
            "job": "train-encoder",
            "model": "bundled:minilm",
            "corpus": dict.fromkeys(("train", "dev", "test"), str(file)),
            "output": str(tmp_path / "runs"),
            "name": "sweep",
            "sweep": {"training.learning_rate": [1e-6, 3e-3, 1e-3]},
        }
    )


def scored(f1: float) -> dict[str, Any]:
    return {
        "corrected": {"overall": {"strict": {"f1": f1}}},
        "paper": {"overall": {"strict": {"f1": 1 - f1}}},
    }


@pytest.mark.parametrize("test", [True, False])
def test_test_is_scored_once_with_the_best_on_dev(
    config: TrainEncoderConfig, test: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = {1e-6: 0.1, 3e-3: 0.8, 1e-3: 0.5}
    asked: list[tuple[str, list[str]]] = []

    def train(point: TrainEncoderConfig, progress: Any) -> TrainedModel:
        assert not point.test
        run = RunFolder.create(Path(point.output) / str(point.name), "")
        scores = {"dev": scored(dev[point.training.learning_rate])}
        run.write_json("scores.json", scores)
        return TrainedModel(run, 1, scores)

    def score(scoring: Any, members: Any, run: RunFolder, splits: list[str]) -> dict[str, Any]:
        asked.append((run.path.name, splits))
        return {"test": scored(0.7)}

    monkeypatch.setattr(sweep, "train_point", train)
    monkeypatch.setattr(sweep, "score_splits", score)
    monkeypatch.setattr(sweep, "write_model_card", lambda run: None)
    monkeypatch.setattr(sweep, "connected", lambda: pytest.MonkeyPatch.context())
    best = sweep.train_sweep(config.model_copy(update={"test": test}))
    assert asked == ([("sweep-2", ["test"])] if test else [])
    assert best.run.path.name == "sweep-2" and set(best.scores) == ({"dev", "test"} if test else {"dev"})
    runs = [RunFolder(best.run.path.parent / f"sweep-{number}") for number in (1, 2, 3)]
    assert [set(run.read_json("scores.json")) for run in runs] == [{"dev"}, set(best.scores), {"dev"}]
