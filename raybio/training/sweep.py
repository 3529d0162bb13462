"""One run for each point of a sweep; dev chooses, and the test split is touched once, by the chosen run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from raybio.cluster import connected
from raybio.config import TrainConfig, TrainDecoderConfig, TrainEncoderConfig, sweep_points
from raybio.evaluation.tables import strict_f1
from raybio.stopping import resume_hint
from raybio.training.fit import TrainedModel
from raybio.training.model_card import write_model_card
from raybio.training.recipes import Scoring
from raybio.training.scoring import score_splits
from raybio.training.union import members_of

_WAY_ON = "A sweep starts over, under another name; finished points keep their run folders"


def train_sweep(config: TrainConfig, progress: Callable[[str], None] = print) -> TrainedModel:
    """Train every point of `config.sweep`, and score test with the best on dev by strict F1.

    Whose strict F1 that is `training.metric_for_best_model` says.

    The run folders of all points stay; the chosen one's scores.json has the test split too.

    Raises:
        as `train_encoder` and `train_decoder`.
    """
    points = sweep_points(config)
    with resume_hint(_WAY_ON), connected():
        results = []
        for i, point in enumerate(points, start=1):
            progress(f"point {i} of {len(points)}")
            results.append(train_point(point.model_copy(update={"test": False}), progress))
        scorer = config.training.scorer
        f1s = [strict_f1(result.scores["dev"], scorer) for result in results]
        best = results[f1s.index(max(f1s))]
        progress(f"best on dev: {best.run.path} with strict F1 {100 * max(f1s):.2f}")
        if config.test:
            chosen = points[results.index(best)]
            tested = score_splits(Scoring.of(chosen), members_of(chosen.corpus), best.run, ["test"])
            best = replace(best, scores={**best.scores, **tested})
            best.run.write_json("scores.json", best.scores)
            write_model_card(best.run)
    return best


def train_point(config: TrainConfig, progress: Callable[[str], None]) -> TrainedModel:
    """Train one config, of either kind; what the other kind of model needs is not imported.

    Raises:
        as `train_encoder` and `train_decoder`.
    """
    if isinstance(config, TrainDecoderConfig):
        from raybio.training.decoder import train_decoder

        return train_decoder(config, progress)
    if isinstance(config, TrainEncoderConfig):
        from raybio.training.encoder import train_encoder

        return train_encoder(config, progress)
    raise TypeError(f"a {type(config).__name__} trains nothing")
