"""The stages of a study: all that it has to do, named as far as that is known by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from raybio.config import (
    BenchmarkServeConfig,
    CascadeConfig,
    MeasuredCorpusSection,
    ServedModelSection,
    StudyCascadeSection,
    StudyConfig,
    TrainConfig,
    TrainDecoderConfig,
    TrainEncoderConfig,
    config_hash,
    sections_of,
)
from raybio.config.corpus import corpus_name
from raybio.config.study import ServedAsSection
from raybio.config.study_cells import Cell, cells, study_folder, teaching
from raybio.study.runs import Kind, StudyRun, by_seed, read, search_path, train_run


@dataclass(frozen=True, slots=True)
class Stage:
    """One piece of a study's work, which it has from the start on.

    `name` is what it is called until `run` is known, which is None until all is done that it needs. `cell`
    is the model that is trained, tested or measured, and of a `cascade` its encoder. `points` are the train
    configs that it has: that of a run, those of a search, and until dev has chosen the first.
    """

    kind: Kind
    name: str
    seed: int
    cell: Cell
    points: tuple[TrainConfig, ...] = ()
    cascade: StudyCascadeSection | None = None
    run: StudyRun | None = None


def stages(study: StudyConfig, table: Sequence[Cell]) -> Iterator[Stage]:
    """Yield all that the study has to do, each stage after those that it needs."""
    for cell in table:
        yield from _of_cell(study, cell, table)
    for cascade in study.cascades:
        encoders = (cell for cell in table if cell.model.name == cascade.encoder)
        for encoder in encoders:
            decoder = _cell_of(table, cascade.decoder, encoder.corpus)
            if decoder and encoder.corpus in (cascade.corpora or [encoder.corpus]):
                yield from _of_cascade(study, cascade, encoder, decoder)


def known_runs(study: StudyConfig, table: Sequence[Cell] | None = None) -> list[StudyRun]:
    """Return every run that can be named now, done or not, each after those that it needs.

    What dev has not chosen yet, and so its other seeds, test scores and measurements, comes later.
    `table` spares who asks again and again the reading of every train config.

    Raises:
        ConfigError: as `cells` has it.
    """
    return [each.run for each in stages(study, cells(study) if table is None else table) if each.run]


def _of_cell(study: StudyConfig, cell: Cell, table: Sequence[Cell]) -> Iterator[Stage]:
    """Yield the stages of a cell: its search, then each seed of what dev chose, trained, tested, measured."""
    name, first = f"{cell.model.name}-{cell.corpus}", study.seeds[0]
    teachers = _teachers(study, cell, table)
    if len(cell.points) > 1 and study.search.method == "asha":
        path = search_path(study, cell)
        search = StudyRun("search", path.name, cell.model.name, cell.corpus, first, cell.points, path)
        yield Stage("search", path.name, first, cell, cell.points, run=_taught(search, teachers))
    else:
        for point in cell.points:
            run = train_run(cell, point)
            yield Stage("train", run.name, first, cell, (point,), run=_taught(run, teachers))
    by = {run.seed: run for run in by_seed(study, cell)} if teachers is not None else {}
    for seed in study.seeds:
        chosen_run = by.get(seed)
        if seed != first:
            trained = chosen_run and _taught(chosen_run, teachers)
            yield Stage("train", f"{name}-s{seed}", seed, cell, cell.points[:1], run=trained)
        if cell.tested:
            ready = chosen_run if chosen_run and chosen_run.done else None
            tested = ready and replace(ready, kind="test", name=f"{ready.name}-test")
            yield Stage("test", f"{name}-s{seed}-test", seed, cell, run=tested)
            if seed == first and study.measure.enabled:
                ready = chosen_run if tested and tested.done else None
                for served, mode in _served_names(cell).items():
                    measured = ready and _measured(study, cell, ready, served, mode, table)
                    yield Stage("measure", f"{served}-{cell.corpus}-measured", seed, cell, run=measured)


def _teachers(study: StudyConfig, cell: Cell, table: Sequence[Cell]) -> tuple[str, ...] | None:
    """Return the model folders of a cell's teachers, of every seed; None before all are trained."""
    taught_by = [by_seed(study, teacher) for teacher in teaching(cell.model, cell.corpora, table)]
    if not all(runs and all(run.done for run in runs) for runs in taught_by):
        return None
    return tuple(str(run.path / "model") for runs in taught_by for run in runs)


def _taught(run: StudyRun, teachers: tuple[str, ...] | None) -> StudyRun | None:
    """Return a training run with the model folders of its teachers; None before these are trained."""
    if teachers is None:
        return None
    if not teachers:
        return run
    configs = [
        config.model_copy(
            update={"distillation": config.distillation.model_copy(update={"teachers": teachers})}
        )
        for config in run.configs
        if isinstance(config, TrainEncoderConfig)
    ]
    return replace(run, configs=tuple(configs))


def _of_cascade(
    study: StudyConfig, cascade: StudyCascadeSection, encoder: Cell, decoder: Cell
) -> Iterator[Stage]:
    """Yield a cascade for each seed, and the measurement of the first."""
    encoders = {run.seed: run for run in by_seed(study, encoder)}
    decoders = {run.seed: run for run in by_seed(study, decoder)}
    stage = partial(Stage, cell=encoder, points=decoder.points[:1], cascade=cascade)
    name = f"{cascade.name}-{encoder.corpus}"
    for seed in study.seeds:
        pair = encoders.get(seed), decoders.get(seed)
        joined = None
        if pair[0] and pair[0].done and pair[1] and pair[1].done:
            joined = _cascade_run(study, cascade, pair[0], pair[1])
        yield stage("cascade", f"{name}-s{seed}", seed, run=joined)
        if seed == study.seeds[0] and study.measure.enabled:
            served = joined and _served(cascade.name, joined, cascade.serve)
            measured = joined and served and joined.done and _measure_run(study, joined, served)
            yield stage("measure", f"{name}-measured", seed, run=measured or None)


def _cascade_run(
    study: StudyConfig, cascade: StudyCascadeSection, encoder: StudyRun, decoder: StudyRun
) -> StudyRun:
    config = CascadeConfig(
        encoder=str(encoder.path.absolute() / "model"),
        decoder=str(decoder.path.absolute() / "model"),
        budget=cascade.budget,
        corpus=encoder.config.corpus,
        seed=encoder.seed,
        bootstrap=encoder.config.bootstrap,
        workers=decoder.config.workers.model_copy(update={"num_workers": 1}),
    )
    # The folders' names say what is in them; where the study lies does not count.
    digits = config_hash(config.model_copy(update={"encoder": encoder.name, "decoder": decoder.name}))
    name = f"{cascade.name}-{encoder.corpus}-s{encoder.seed}-{digits}"
    config = config.model_copy(update={"name": name, "output": str(study_folder(study))})
    path = study_folder(study) / name
    return StudyRun("cascade", name, cascade.name, encoder.corpus, encoder.seed, (config,), path)


def _served_names(cell: Cell) -> dict[str, str | None]:
    """Return what a cell's model is called when it is measured, with the decode mode: None = by default."""
    point, model = cell.points[0], cell.model
    writes = isinstance(point, TrainDecoderConfig) and point.head == "text"
    return {f"{model.name}-{mode}": mode for mode in model.modes if writes} or {model.name: None}


def _measured(
    study: StudyConfig, cell: Cell, run: StudyRun, name: str, mode: str | None, table: Sequence[Cell]
) -> StudyRun | None:
    """Return the measurement of a tested model; None while the encoder that it tries first is not trained."""
    decoding: dict[str, str] = {"mode": mode} if mode else {}
    if cell.model.draft and "verified" in decoding.get("mode", ""):
        drafting = _cell_of(table, cell.model.draft, cell.corpus)
        draft = next(iter(by_seed(study, drafting)), None) if drafting else None
        if draft is None or not draft.done:
            return None
        decoding |= {"draft": "encoder", "draft_model": str(draft.path / "model")}
    return _measure_run(study, run, _served(name, run, cell.model.serve, decoding))


def _served(
    name: str, run: StudyRun, serve: ServedAsSection, decoding: Mapping[str, str] | None = None
) -> ServedModelSection:
    return ServedModelSection.model_validate(
        {"name": name, "model": str(run.path / "model"), "decoding": decoding or {}, **serve.model_dump()}
    )


def _measure_run(study: StudyConfig, run: StudyRun, served: ServedModelSection) -> StudyRun:
    config = BenchmarkServeConfig(
        job="benchmark-serve",
        models=(served,),
        corpora=_measured_on(run),
        seed=study.seeds[0],
        bootstrap=run.config.bootstrap,
        **{name: value for name, value in study.measure if name != "enabled"},
    )
    name = f"{served.name}-{run.corpus}-measured-{config_hash(config)}"
    config = config.model_copy(update={"name": name, "output": str(study_folder(study))})
    return StudyRun("measure", name, run.model, run.corpus, run.seed, (config,), study_folder(study) / name)


def _measured_on(run: StudyRun) -> tuple[MeasuredCorpusSection, ...]:
    """Return the corpora that a trained model is measured on; of several each counts on its own labels."""
    sections = sections_of(run.config.corpus)
    own: dict[str, Any] = {}
    if len(sections) > 1:
        scores = read(run.path / "scores.json")["test"]["corpora"]
        own = {title: {"annotates": tuple(each["corrected"]["by_label"])} for title, each in scores.items()}
    return tuple(
        MeasuredCorpusSection(
            **{name: value for name, value in section if name in MeasuredCorpusSection.model_fields}
            | own.get(corpus_name(section), {})
        )
        for section in sections
    )


def _cell_of(table: Sequence[Cell], model: str, corpus: str) -> Cell | None:
    return next((cell for cell in table if (cell.model.name, cell.corpus) == (model, corpus)), None)
