"""Trains one point of a study, in its run folder, or resumes what is there."""

from __future__ import annotations

from pathlib import Path

from raybio.config import TrainConfig
from raybio.training.sweep import train_point


def train(config: TrainConfig) -> None:
    """Train a point through the function of its job; what an ended command left of it is gone on with.

    Raises:
        as `train_encoder` and `train_decoder`.
    """
    begun = (Path(config.output) / str(config.name) / "config.yaml").is_file()
    train_point(config.model_copy(update={"resume": begun}), progress=in_the_log)


def in_the_log(line: str) -> None:
    """Say nothing: a run's log.txt has it all."""
