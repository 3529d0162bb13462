"""The runs of a study: what they are called, which are done, and which can be named by now.

A run's name holds a hash of its resolved config: with the config unchanged a finished run is found
again under its name, and with a change it is another run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from raybio.config import (
    BenchmarkServeConfig,
    CascadeConfig,
    DecodingSection,
    JobConfig,
    ServedModelSection,
    StudyCascadeSection,
    StudyConfig,
    TrainConfig,
    TrainDecoderConfig,
    TrainEncoderConfig,
    WorkersSection,
    config_hash,
)
from raybio.config.study import ServedAsSection
from raybio.config.study_cells import Cell, cells, study_folder, with_seed
from raybio.run_folder import RunFolder

Kind = Literal["train", "search", "test", "cascade", "measure"]

SEARCH_FILE = "search.json"


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One piece of work. `configs` has one config, and for a search (ASHA) those of all its points."""

    kind: Kind
    name: str
    model: str
    corpus: str
    seed: int
    configs: tuple[JobConfig, ...]
    path: Path

    @property
    def config(self) -> Any:
        """The run's config; of a search the first point's, which asks for as much as any."""
        return self.configs[0]

    @property
    def done(self) -> bool:
        """Whether its result is in its folder."""
        if self.kind == "measure":
            report = read(self.path / "benchmark.json")
            return len(report.get("results", ())) == len(self.config.models)
        if self.kind == "search":
            return (self.path / SEARCH_FILE).is_file()
        scores = read(self.path / "scores.json")
        return {"train": "dev", "test": "test", "cascade": "test"}[self.kind] in scores


def known_runs(study: StudyConfig, table: Sequence[Cell] | None = None) -> list[StudyRun]:
    """Return every run that can be named now, done or not, each after those that it needs.

    What dev has not chosen yet, and so its other seeds, test scores and measurements, comes later.
    `table` spares who asks again and again the reading of every train config.

    Raises:
        ConfigError: as `cells` has it.
    """
    table = cells(study) if table is None else table
    return [
        *(run for cell in table for run in _of_cell(study, cell, table)),
        *(run for joined in _cascades(study, table) for run in (joined, *_measured_cascade(study, joined))),
    ]


def chosen(study: StudyConfig, cell: Cell) -> TrainConfig | None:
    """Return the point with the best strict F1 on dev, the first of equals; None while not all are done.

    Whose strict F1 that is `training.metric_for_best_model` says.
    A point that failed keeps the choice open: another choice later would touch test a second time.
    """
    if len(cell.points) > 1 and study.search.method == "asha":
        found = read(_search_path(study, cell) / SEARCH_FILE)
        return next((point for point in cell.points if point.name == found.get("chosen")), None)
    if not all(train_run(cell, point).done for point in cell.points):
        return None
    return best_on_dev(cell.points)


def best_on_dev(points: Sequence[TrainConfig]) -> TrainConfig:
    """Return which of points that are done is best on dev, by the scorer they name; the first of equals."""
    return max(points, key=lambda point: dev_f1(run_path(point), point.training.scorer) or 0.0)


def by_seed(study: StudyConfig, cell: Cell) -> list[StudyRun]:
    """Return the training runs of the chosen point, one for each seed; none while nothing is chosen."""
    point = chosen(study, cell)
    if point is None:
        return []
    return [train_run(cell, point), *(_repeat(study, cell, point, seed) for seed in study.seeds[1:])]


def train_run(cell: Cell, point: TrainConfig) -> StudyRun:
    """Return the run that trains a point of a cell."""
    return StudyRun(
        "train", str(point.name), cell.model.name, cell.corpus, point.seed, (point,), run_path(point)
    )


def run_path(point: TrainConfig) -> Path:
    """Return the run folder of a point."""
    return Path(point.output) / str(point.name)


def dev_f1(path: Path, scorer: str = "corrected") -> float | None:
    """Return the strict F1 on dev of the run in `path`, a fraction; None where it has none."""
    return f1(read(path / "scores.json"), "dev", scorer)


def f1(scores: dict[str, Any], split: str, scorer: str = "corrected") -> float | None:
    """Return the strict F1 of a split, a fraction; None where it was not scored."""
    return float(scores[split][scorer]["overall"]["strict"]["f1"]) if split in scores else None


def read(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a run folder holds, and nothing where it is not there."""
    return RunFolder(path.parent).read_json(path.name) if path.is_file() else {}


def _repeat(study: StudyConfig, cell: Cell, point: TrainConfig, seed: int) -> StudyRun:
    return train_run(cell, with_seed(study, cell, point, seed))


def _of_cell(study: StudyConfig, cell: Cell, table: Sequence[Cell]) -> Iterator[StudyRun]:
    """Yield the runs of a cell; none before its teachers are trained."""
    teachers = [_cell_of(table, name, cell.corpus) for name in cell.model.teachers]
    teaching = [by_seed(study, teacher) for teacher in teachers if teacher]
    if all(runs and all(run.done for run in runs) for runs in teaching):
        paths = [str(run.path / "model") for runs in teaching for run in runs]
        yield from (_taught(run, paths) for run in _once_taught(study, cell, table))


def _taught(run: StudyRun, teachers: Sequence[str]) -> StudyRun:
    """Return a training run with the model folders of its teachers; any other run as it is."""
    if not (teachers and run.kind in ("train", "search")):
        return run
    configs = [
        config.model_copy(
            update={"distillation": config.distillation.model_copy(update={"teachers": tuple(teachers)})}
        )
        for config in run.configs
        if isinstance(config, TrainEncoderConfig)
    ]
    return replace(run, configs=tuple(configs))


def _once_taught(study: StudyConfig, cell: Cell, table: Sequence[Cell]) -> Iterator[StudyRun]:
    if len(cell.points) > 1 and study.search.method == "asha":
        path = _search_path(study, cell)
        yield StudyRun("search", path.name, cell.model.name, cell.corpus, study.seeds[0], cell.points, path)
    else:
        yield from (train_run(cell, point) for point in cell.points)
    for run in by_seed(study, cell):
        if run.seed != study.seeds[0]:
            yield run
        if cell.tested and run.done:
            yield _test_run(run)
        if run.seed == study.seeds[0]:
            yield from _measured(study, cell, run, table)


def _search_path(study: StudyConfig, cell: Cell) -> Path:
    names = [str(point.name).rsplit("-", 1)[1] for point in cell.points]
    section = study.search.model_dump()
    digits = config_hash(study.model_copy(update={"options": {"points": names, **section}}), "options")
    return study_folder(study) / f"{cell.model.name}-{cell.corpus}-search-{digits}"


def _test_run(run: StudyRun) -> StudyRun:
    return StudyRun("test", f"{run.name}-test", run.model, run.corpus, run.seed, run.configs, run.path)


def _cascades(study: StudyConfig, table: Sequence[Cell]) -> Iterator[StudyRun]:
    """Yield a cascade for each corpus and seed on which both of its models are trained."""
    for cascade in study.cascades:
        for cell in table:
            if cell.model.name == cascade.encoder and _on(cascade.corpora, cell.corpus):
                decoder = _cell_of(table, cascade.decoder, cell.corpus)
                pairs = zip(by_seed(study, cell), by_seed(study, decoder) if decoder else (), strict=False)
                for encoder_run, decoder_run in pairs:
                    if encoder_run.done and decoder_run.done:
                        yield _cascade_run(study, cascade, encoder_run, decoder_run)


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
        workers=_workers(decoder.config),
    )
    # The folders' names say what is in them; where the study lies does not count.
    digits = config_hash(config.model_copy(update={"encoder": encoder.name, "decoder": decoder.name}))
    name = f"{cascade.name}-{encoder.corpus}-s{encoder.seed}-{digits}"
    config = config.model_copy(update={"name": name, "output": str(study_folder(study))})
    path = study_folder(study) / name
    return StudyRun("cascade", name, cascade.name, encoder.corpus, encoder.seed, (config,), path)


def _workers(config: TrainConfig) -> WorkersSection:
    return config.workers.model_copy(update={"num_workers": 1})


def _measured(study: StudyConfig, cell: Cell, run: StudyRun, table: Sequence[Cell]) -> Iterator[StudyRun]:
    """Yield the measurements of `run`, a cell's chosen model, once it was tested: one a decode mode."""
    if not (study.measure.enabled and cell.tested and _test_run(run).done):
        return
    for name, mode in served_names(cell).items():
        decoding = _decoding(study, mode, cell, table)
        if decoding is not None:
            yield _measure_run(study, run, _served(name, run, cell.model.serve, decoding))


def served_names(cell: Cell) -> dict[str, str | None]:
    """Return what a cell's model is called when it is measured, with the decode mode: None = by default."""
    point, model = cell.points[0], cell.model
    writes = isinstance(point, TrainDecoderConfig) and point.head == "text"
    return {f"{model.name}-{mode}": mode for mode in model.modes if writes} or {model.name: None}


def _decoding(
    study: StudyConfig, mode: str | None, cell: Cell, table: Sequence[Cell]
) -> DecodingSection | None:
    """Return how a model decodes in `mode`; None while the encoder that it tries first is not trained."""
    if mode is None:
        return DecodingSection()
    if not (cell.model.draft and "verified" in mode):
        return DecodingSection.model_validate({"mode": mode})
    cell_of_draft = _cell_of(table, cell.model.draft, cell.corpus)
    draft = next(iter(by_seed(study, cell_of_draft)), None) if cell_of_draft else None
    if draft is None or not draft.done:
        return None
    guesses = {"draft": "encoder", "draft_model": str(draft.path / "model")}
    return DecodingSection.model_validate({"mode": mode, **guesses})


def _measured_cascade(study: StudyConfig, run: StudyRun) -> Iterator[StudyRun]:
    serve = {cascade.name: cascade.serve for cascade in study.cascades}
    if study.measure.enabled and run.seed == study.seeds[0] and run.done:
        yield _measure_run(study, run, _served(run.model, run, serve[run.model]))


def _served(
    name: str, run: StudyRun, serve: ServedAsSection, decoding: DecodingSection | None = None
) -> ServedModelSection:
    return ServedModelSection.model_validate(
        {
            "name": name,
            "model": str(run.path / "model"),
            "decoding": decoding or DecodingSection(),
            **serve.model_dump(),
        }
    )


def _measure_run(study: StudyConfig, run: StudyRun, served: ServedModelSection) -> StudyRun:
    config = BenchmarkServeConfig(
        job="benchmark-serve",
        models=(served,),
        corpora=(run.config.corpus,),
        seed=study.seeds[0],
        bootstrap=run.config.bootstrap,
        **{name: value for name, value in study.measure if name != "enabled"},
    )
    name = f"{served.name}-{run.corpus}-measured-{config_hash(config)}"
    config = config.model_copy(update={"name": name, "output": str(study_folder(study))})
    return StudyRun("measure", name, run.model, run.corpus, run.seed, (config,), study_folder(study) / name)


def _cell_of(table: Sequence[Cell], model: str, corpus: str) -> Cell | None:
    return next((cell for cell in table if (cell.model.name, cell.corpus) == (model, corpus)), None)


def _on(corpora: Sequence[str], corpus: str) -> bool:
    return not corpora or corpus in corpora
