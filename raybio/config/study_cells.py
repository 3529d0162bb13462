"""A study -> its cells: each model on each corpus, with the train config of every point of its search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from raybio.config.corpus import corpus_name
from raybio.config.demand import Together
from raybio.config.loading import check, load
from raybio.config.protocol import Protocol, options_by
from raybio.config.section import JobConfig
from raybio.config.study import StudyConfig, StudyModelSection
from raybio.config.sweep import replaced, sweep_points
from raybio.config.train_decoder import TrainDecoderConfig
from raybio.config.train_encoder import TrainEncoderConfig
from raybio.config.training import TrainConfig
from raybio.config.union import MemberSection, plain, trains_on_dev
from raybio.config.writing import config_hash, resolved
from raybio.errors import ConfigError

_JOBS: Mapping[str, type[TrainConfig]] = {
    "train-encoder": TrainEncoderConfig,
    "train-decoder": TrainDecoderConfig,
}
_OF_CORPORA = "corpus."
_TEXT_ONLY = ("prompt.", "dev.", "training.loss_on", "training.long_inputs")
# What changes nothing of the result, and so nothing of a run's name.
_BESIDE = {"output": "runs", "name": None, "resume": False}


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on one corpus, or on several that it learns together.

    `corpora` are their names, and `corpus` is what runs call them. `points` are the configs of its search,
    with the study's first seed. Each point has the name of its run folder, and leaves the test split alone;
    `tested` says whether the chosen one is scored on it. The teachers of a point are named by the run
    folders that may hold them: which of them dev chooses is known later.
    """

    model: StudyModelSection
    corpus: str
    corpora: tuple[str, ...]
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
    for model, corpora in _learned(study):
        names = tuple(map(corpus_name, corpora))
        try:
            found.append(_cell(study, model, corpora, _teachers(study, model, names, found)))
        except ConfigError as error:
            for fault in error.faults:
                faults.setdefault(f"{model.name} ({error.source}): {fault}", ", ".join(names))
    if faults:
        raise ConfigError(
            f"the study {study.name}", [f"{fault}, on {corpus}" for fault, corpus in faults.items()]
        )
    return found


def teaching(model: StudyModelSection, corpora: Sequence[str], table: Iterable[Cell]) -> list[Cell]:
    """Return the cells that teach a model on corpora: those of its teachers on any of these, or on all."""
    return [cell for cell in table if cell.model.name in model.teachers and set(cell.corpora) <= set(corpora)]


def demands(config: JobConfig) -> Sequence[Together]:
    """Return what any job asks of a cluster at least; each tuple is what must have room at the same time.

    The runs of a study are started as there is room: the largest must find its place.
    """
    jobs = [cell.points[0] for cell in cells(config)] if isinstance(config, StudyConfig) else [config]
    return list(dict.fromkeys(together for job in jobs for together in job.demands()))


def with_seed(study: StudyConfig, cell: Cell, config: TrainConfig, seed: int) -> TrainConfig:
    """Return a point of `cell` with another seed, under the name that this gives it."""
    return _named(study, cell.model.name, cell.corpus, config.model_copy(update={"seed": seed}))


def _learned(study: StudyConfig) -> Iterator[tuple[StudyModelSection, Sequence[MemberSection]]]:
    """Yield each model with what it learns at a time: first of each corpus, then of several together."""
    names = [corpus_name(corpus) for corpus in study.corpora]
    for corpus in study.corpora:
        for model in study.models:
            if not model.together and corpus_name(corpus) in (model.corpora or names):
                yield model, [corpus]
    for model in study.models:
        if model.together:
            yield model, [each for each in study.corpora if corpus_name(each) in (model.corpora or names)]


def _teachers(
    study: StudyConfig, model: StudyModelSection, corpora: Sequence[str], above: Sequence[Cell]
) -> list[str]:
    """Return the names of all runs, one of which for each seed dev will choose, that may teach a model.

    Where the teachers' own configs are faulty they are their models' names: their pupil should not look as
    if it had none.
    """
    runs = [
        str(with_seed(study, cell, point, seed).name)
        for cell in teaching(model, corpora, above)
        for point in cell.points
        for seed in study.seeds
    ]
    return runs or list(model.teachers)


def _cell(
    study: StudyConfig, model: StudyModelSection, corpora: Sequence[MemberSection], teachers: Sequence[str]
) -> Cell:
    config = _train_config(study, model, corpora, teachers)
    names = tuple(map(corpus_name, corpora))
    name = "-".join(names)
    points = [
        _named(study, model.name, name, point.model_copy(update={"test": False}))
        for point in sweep_points(config)
    ]
    return Cell(model, name, names, tuple(points), config.test)


def _train_config(
    study: StudyConfig, model: StudyModelSection, corpora: Sequence[MemberSection], teachers: Sequence[str]
) -> TrainConfig:
    file = load(model.config, (), _JOBS, other_jobs=("tag-corpus", "serve", "benchmark-serve", "run-study"))
    options = {**study.options, **model.options}
    of_corpora = {key: value for key, value in options.items() if key.startswith(_OF_CORPORA)}
    changes: dict[str, Any] = {
        **_by_protocol(study.protocol, file, options),
        "corpus": _corpus(corpora, of_corpora),
        "seed": study.seeds[0],
        "name": None,
        "resume": False,
        "output": str(study_folder(study)),
        **{key: value for key, value in options.items() if key not in of_corpora},
        **({"distillation.teachers": list(teachers)} if teachers else {}),
    }
    data = reduce(lambda held, key: replaced(held, key.split("."), changes[key]), changes, resolved(file))
    config = check(data, type(file), model.config)
    if trains_on_dev(config.corpus):
        fault = "corpus.train_with_dev: found true, but a study chooses on dev; remove it"
        raise ConfigError(model.config, [fault])
    return config


def _corpus(corpora: Sequence[MemberSection], options: Mapping[str, Any]) -> Any:
    """Return a train config's `corpus` as plain data: a list where several are learned, or labels renamed."""
    alone = len(corpora) == 1 and not corpora[0].labels and not corpora[0].annotates
    sections = []
    for corpus in corpora:
        data = (plain(corpus) if alone else corpus).model_dump(mode="json")
        for key, value in options.items():
            data = replaced(data, key.removeprefix(_OF_CORPORA).split("."), value)
        sections.append(data)
    return sections[0] if alone else sections


def _by_protocol(protocol: Protocol, file: TrainConfig, said: Mapping[str, Any]) -> Mapping[str, Any]:
    options = options_by(protocol, type(file))
    if said.get("head", getattr(file, "head", "text")) == "tags":
        options = {key: value for key, value in options.items() if not key.startswith(_TEXT_ONLY)}
    return options


def _named(study: StudyConfig, model: str, corpus: str, config: TrainConfig) -> TrainConfig:
    digits = config_hash(config.model_copy(update=_BESIDE))
    name = f"{model}-{corpus}-s{config.seed}-{digits}"
    return config.model_copy(update={"name": name, "output": str(study_folder(study))})
