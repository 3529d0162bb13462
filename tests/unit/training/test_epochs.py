"""When epochs end: by which scorer, and after how many that were no better."""

from types import SimpleNamespace
from typing import Any

import pytest

from raybio.config import CorpusSection, TrainEncoderConfig
from raybio.training import epochs

CORRECTED, PAPER = (0.5, 0.6, 0.7, 0.8), (0.5, 0.4, 0.3, 0.2)


@pytest.mark.parametrize(("choose_by", "learned"), [("corrected", 4), ("paper", 3)])
def test_the_scorer_that_chooses_also_stops(
    choose_by: str, learned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the corrected scorer every epoch is better than the one before, by the paper's none."""
    rows: list[dict[str, Any]] = []

    def scored(*_: object) -> SimpleNamespace:
        epoch = len(rows)
        strict = SimpleNamespace(strict=SimpleNamespace(f1=PAPER[epoch]))
        return SimpleNamespace(strict_f1=CORRECTED[epoch], paper=strict)

    monkeypatch.setattr(epochs, "evaluate", scored)
    monkeypatch.setattr(epochs, "_resumed", lambda *_: epochs._Progress())
    monkeypatch.setattr(epochs, "_epoch", lambda *_: 1.0)
    monkeypatch.setattr(epochs, "_report", lambda metrics, *_: rows.append(metrics))
    config = TrainEncoderConfig(
        job="train-encoder",
        model="bundled:minilm",
        corpus=CorpusSection(name="sample"),
        training={"epochs": 4, "patience": 2, "choose_by": choose_by},
    )
    workers: Any = SimpleNamespace(rank=1)
    learner: Any = SimpleNamespace(tags=lambda _: [], metrics=dict)
    nothing: Any = None
    judge = epochs.judged_on_dev(config, learner, [])
    epochs.train_epochs(config, nothing, workers, nothing, learner, judge, config.training.patience)
    assert len(rows) == learned
    assert [row["dev_strict_f1"] for row in rows] == list(CORRECTED[:learned])
    assert [row["dev_paper_strict_f1"] for row in rows] == list(PAPER[:learned])
