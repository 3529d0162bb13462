"""One run for each point of a sweep; dev chooses, and the test split is touched once, by the chosen run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from raybio.cluster import connected
from raybio.config import TrainEncoderConfig, sweep_points
from raybio.training.encoder import TrainedEncoder, train_encoder
from raybio.training.scoring import score_split


def train_sweep(config: TrainEncoderConfig, progress: Callable[[str], None] = print) -> TrainedEncoder:
    """Train every point of `config.sweep`, and score test with the best on dev by strict F1.

    The run folders of all points stay; the chosen one's scores.json has the test split too.

    Raises:
        as `train_encoder`.
    """
    points = sweep_points(config)
    with connected():
        results = []
        for i, point in enumerate(points, start=1):
            progress(f"point {i} of {len(points)}")
            results.append(train_encoder(point.model_copy(update={"test": False}), progress))
        best = max(results, key=_dev_f1)
        progress(f"best on dev: {best.run.path} with strict F1 {100 * _dev_f1(best):.2f}")
        if config.test:
            chosen = points[results.index(best)]
            best = replace(best, scores={**best.scores, "test": score_split(chosen, best.run, "test")})
            best.run.write_json("scores.json", best.scores)
    return best


def _dev_f1(result: TrainedEncoder) -> float:
    f1: float = result.scores["dev"]["corrected"]["overall"]["strict"]["f1"]
    return f1
