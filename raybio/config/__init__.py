"""Typed job configs: one YAML file, `key=value` overrides, all faults in one message.

`job:` at the top of the file chooses the class; each job's options are in the file of its
name. `describe(config_class)` lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raybio.config.corpus import CorpusSection
from raybio.config.loading import load
from raybio.config.options import describe
from raybio.config.section import JobConfig
from raybio.config.sweep import sweep_points
from raybio.config.tag_corpus import TagCorpusConfig, TaggersSection
from raybio.config.train_encoder import LoggingSection, TrainEncoderConfig, TrainingSection, WorkersSection
from raybio.config.writing import config_hash, resolved, to_yaml

JOBS: dict[str, type[JobConfig]] = {"train-encoder": TrainEncoderConfig, "tag-corpus": TagCorpusConfig}

__all__ = [
    "JOBS",
    "CorpusSection",
    "JobConfig",
    "LoggingSection",
    "TagCorpusConfig",
    "TaggersSection",
    "TrainEncoderConfig",
    "TrainingSection",
    "WorkersSection",
    "config_hash",
    "describe",
    "load_config",
    "resolved",
    "sweep_points",
    "to_yaml",
]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> JobConfig:
    """Return the config in the YAML file at `path`, an instance of `JOBS[its job]`.

    `overrides` are words `key=value` with dotted keys ("training.epochs=3"), applied in order.

    Raises:
        ConfigError: holds every fault of the file and the overrides, each with its line or word,
            its key, what was found and what is allowed.
    """
    return load(path, overrides, JOBS)
