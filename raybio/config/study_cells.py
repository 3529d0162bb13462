"""A study -> its cells: each model on each corpus, with the train config of every point of its search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from raybio.config.benchmark_serve import corpus_name
from raybio.config.corpus import CorpusSection
from raybio.config.demand import Together
from raybio.config.loading import check, load
from raybio.config.protocol import Protocol, options_by
from raybio.config.section import JobConfig
from raybio.config.study import StudyConfig, StudyModelSection
from raybio.config.sweep import replaced, sweep_points
from raybio.config.train_decoder import TrainDecoderConfig
from raybio.config.train_encoder import TrainEncoderConfig
from raybio.config.training import TrainConfig
from raybio.config.union import trains_on_dev
from raybio.config.writing import config_hash, resolved
from raybio.errors import ConfigError

_JOBS: Mapping[str, type[TrainConfig]] = {
    "train-encoder": TrainEncoderConfig,
    "train-decoder": TrainDecoderConfig,
}
_TEXT_ONLY = ("prompt.", "dev.", "training.loss_on", "training.long_inputs")
# What changes nothing of the result, and so nothing of a run's name.
_BESIDE = {"output": "runs", "name": None, "resume": False}


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on one corpus. `points` are the configs of its search, with the study's first seed.

    Each point has the name of its run folder, and leaves the test split alone; `tested` says whether the
    chosen one is scored on it. The teachers of a point are named by the run folders that may hold them:
    which of them dev chooses is known later.
    """

    model: StudyModelSection
    corpus: str
    points: tuple[TrainConfig, ...]
    tested: bool


def study_folder(study: StudyConfig) -> Path:
    """Return where the study's run folders are."""
    return Path(study.output) / study.name


def cells(study: StudyConfig) -> list[Cell]:
    """Return the study's cells, corpus by corpus.

    Raises:
        ConfigError: holds every fault of every train config as the study changes it, each once, with
            the model and the first corpus it is met on.
    """
    found: list[Cell] = []
    faults: dict[str, str] = {}
    for corpus in study.corpora:
        for model in study.models:
            if model.corpora and corpus_name(corpus) not in model.corpora:
                continue
            try:
                found.append(_cell(study, model, corpus, _teachers(study, model, corpus, found)))
            except ConfigError as error:
                for fault in error.faults:
                    faults.setdefault(f"{model.name} ({error.source}): {fault}", corpus_name(corpus))
    if faults:
        raise ConfigError(
            f"the study {study.name}", [f"{fault}, on {corpus}" for fault, corpus in faults.items()]
        )
    return found


def demands(config: JobConfig) -> Sequence[Together]:
    """Return what any job asks of a cluster at least; each tuple is what must have room at the same time.

    The runs of a study are started as there is room: the largest must find its place.
    """
    jobs = [cell.points[0] for cell in cells(config)] if isinstance(config, StudyConfig) else [config]
    return list(dict.fromkeys(together for job in jobs for together in job.demands()))


def with_seed(study: StudyConfig, cell: Cell, config: TrainConfig, seed: int) -> TrainConfig:
    """Return a point of `cell` with another seed, under the name that this gives it."""
    return _named(study, cell.model.name, cell.corpus, config.model_copy(update={"seed": seed}))


def _teachers(
    study: StudyConfig, model: StudyModelSection, corpus: CorpusSection, above: Sequence[Cell]
) -> list[str]:
    """Return the names of all runs, one of which for each seed dev will choose, that may teach a model.

    Where the teachers' own configs are faulty they are their models' names, lest their pupil look as if it
    had none.
    """
    runs = [
        str(with_seed(study, cell, point, seed).name)
        for cell in above
        if cell.corpus == corpus_name(corpus) and cell.model.name in model.teachers
        for point in cell.points
        for seed in study.seeds
    ]
    return runs or list(model.teachers)


def _cell(
    study: StudyConfig, model: StudyModelSection, corpus: CorpusSection, teachers: Sequence[str]
) -> Cell:
    config = _train_config(study, model, corpus, teachers)
    points = [
        _named(study, model.name, corpus_name(corpus), point.model_copy(update={"test": False}))
        for point in sweep_points(config)
    ]
    return Cell(model, corpus_name(corpus), tuple(points), config.test)


def _train_config(
    study: StudyConfig, model: StudyModelSection, corpus: CorpusSection, teachers: Sequence[str]
) -> TrainConfig:
    file = load(model.config, (), _JOBS, other_jobs=("tag-corpus", "serve", "benchmark-serve", "run-study"))
    changes: dict[str, Any] = {
        **_by_protocol(study.protocol, file, {**study.options, **model.options}),
        "corpus": corpus.model_dump(mode="json"),
        "seed": study.seeds[0],
        "name": None,
        "resume": False,
        "output": str(study_folder(study)),
        **study.options,
        **model.options,
        **({"distillation.teachers": list(teachers)} if teachers else {}),
    }
    data = reduce(lambda held, key: replaced(held, key.split("."), changes[key]), changes, resolved(file))
    config = check(data, type(file), model.config)
    if trains_on_dev(config.corpus):
        fault = "corpus.train_with_dev: found true, but a study chooses on dev; remove it"
        raise ConfigError(model.config, [fault])
    return config


def _by_protocol(protocol: Protocol, file: TrainConfig, said: Mapping[str, Any]) -> Mapping[str, Any]:
    options = options_by(protocol, type(file))
    if said.get("head", getattr(file, "head", "text")) == "tags":
        options = {key: value for key, value in options.items() if not key.startswith(_TEXT_ONLY)}
    return options


def _named(study: StudyConfig, model: str, corpus: str, config: TrainConfig) -> TrainConfig:
    digits = config_hash(config.model_copy(update=_BESIDE))
    name = f"{model}-{corpus}-s{config.seed}-{digits}"
    return config.model_copy(update={"name": name, "output": str(study_folder(study))})
