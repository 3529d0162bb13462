"""Typed job configs: one YAML file, `key=value` overrides, all faults in one message.

`job:` at the top of the file chooses the class; each job's options are in the file of its
name. `describe(config_class)` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from raybio.config.adapt_encoder import AdaptEncoderConfig, MaskingSection, TextSection
from raybio.config.benchmark_serve import BenchmarkServeConfig
from raybio.config.changes import changed_options, changes
from raybio.config.corpus import CorpusSection, corpus_title
from raybio.config.decoding import DecodingSection
from raybio.config.derived import CascadeConfig, ScoreConfig, ScoredCorpusSection, SoupConfig
from raybio.config.loading import check, load
from raybio.config.options import describe
from raybio.config.renamed import with_present_names
from raybio.config.section import JobConfig
from raybio.config.serve import LimitsSection, ServeConfig
from raybio.config.serving import AutoscalingSection, ServedModelSection
from raybio.config.study import MeasureSection, StudyCascadeSection, StudyConfig, StudyModelSection
from raybio.config.sweep import sweep_points
from raybio.config.tag_corpus import (
    OTHER_LANGUAGES,
    SMALL_BYTES,
    EntitiesSection,
    InputSection,
    TagCorpusConfig,
    TaggersSection,
)
from raybio.config.train_decoder import (
    DecoderTrainingSection,
    DeepSpeedSection,
    DevSection,
    LoraSection,
    PromptSection,
    QuantizationSection,
    TrainDecoderConfig,
)
from raybio.config.train_encoder import DistillationSection, TrainEncoderConfig, TrainingSection
from raybio.config.training import (
    LearnConfig,
    LearningSection,
    LoggingSection,
    OptimizationSection,
    TrainConfig,
    WorkersSection,
)
from raybio.config.union import MeasuredCorpusSection, MemberSection, sections_of, trains_on_dev
from raybio.config.writing import config_hash, resolved, to_yaml

SomeJob = TypeVar("SomeJob", bound=JobConfig)

JOBS: dict[str, type[JobConfig]] = {
    "adapt-encoder": AdaptEncoderConfig,
    "train-encoder": TrainEncoderConfig,
    "train-decoder": TrainDecoderConfig,
    "tag-corpus": TagCorpusConfig,
    "serve": ServeConfig,
    "benchmark-serve": BenchmarkServeConfig,
    "run-study": StudyConfig,
}

__all__ = [
    "JOBS",
    "OTHER_LANGUAGES",
    "SMALL_BYTES",
    "AdaptEncoderConfig",
    "AutoscalingSection",
    "BenchmarkServeConfig",
    "CascadeConfig",
    "CorpusSection",
    "DecoderTrainingSection",
    "DecodingSection",
    "DeepSpeedSection",
    "DevSection",
    "DistillationSection",
    "EntitiesSection",
    "InputSection",
    "JobConfig",
    "LearnConfig",
    "LearningSection",
    "LimitsSection",
    "LoggingSection",
    "LoraSection",
    "MaskingSection",
    "MeasureSection",
    "MeasuredCorpusSection",
    "MemberSection",
    "OptimizationSection",
    "PromptSection",
    "QuantizationSection",
    "ScoreConfig",
    "ScoredCorpusSection",
    "ServeConfig",
    "ServedModelSection",
    "SoupConfig",
    "StudyCascadeSection",
    "StudyConfig",
    "StudyModelSection",
    "TagCorpusConfig",
    "TaggersSection",
    "TextSection",
    "TrainConfig",
    "TrainDecoderConfig",
    "TrainEncoderConfig",
    "TrainingSection",
    "WorkersSection",
    "changed_options",
    "changes",
    "config_hash",
    "corpus_title",
    "describe",
    "job_of",
    "load_config",
    "load_job",
    "load_recorded",
    "resolved",
    "sections_of",
    "sweep_points",
    "to_yaml",
    "trains_on_dev",
    "with_present_names",
]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> JobConfig:
    """Return the config in the YAML file at `path`, an instance of `JOBS[its job]`.

    `overrides` are words `key=value` with dotted keys ("training.epochs=3"), applied in order.

    Raises:
        ConfigError: holds every fault of the file and the overrides, each with its line or word,
            its key, what was found and what is allowed.
    """
    return load(path, overrides, JOBS)


def load_job(config_class: type[SomeJob], path: str | Path, overrides: Sequence[str] = ()) -> SomeJob:
    """Return the config in the YAML file at `path`, as `load_config` does, of this one job.

    Raises:
        ConfigError: as `load_config` has it; or the file configures another job, which is named.
    """
    name = _name_of(config_class)
    return load(path, overrides, {name: config_class}, other_jobs=JOBS)


def load_recorded(path: str | Path) -> JobConfig:
    """Return the config that raybio wrote into a run folder, also one with the names options had first.

    Raises:
        ConfigError: as `load_config` has it.
    """
    return load(path, (), JOBS, recorded=True)


def job_of(config_class: type[SomeJob], options: Mapping[str, object], source: str) -> SomeJob:
    """Return the config that plain nested `options` hold, defaults filled in; `job` need not be said.

    Raises:
        ConfigError: names `source` (what gave the options) and holds every fault.
    """
    return check({"job": _name_of(config_class), **options}, config_class, source)


def _name_of(config_class: type[JobConfig]) -> str:
    return next(name for name, known in JOBS.items() if known is config_class)
