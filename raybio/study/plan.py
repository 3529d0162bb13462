"""What a study will take, before anything is started: every run with its GPUs, hours and dollars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from raybio.config import CorpusSection, StudyConfig, TrainConfig, TrainDecoderConfig
from raybio.config.prices import InstancePrice, load_prices, shipped_prices
from raybio.config.study import ServedAsSection
from raybio.config.study_cells import Cell, cells
from raybio.corpora.statistics import PUBLISHED_INSTANCES
from raybio.cost import dollars
from raybio.errors import ConfigError, InputError, ModelError, RaybioError
from raybio.evaluation.tables import align
from raybio.sentence_stream import read_sentences
from raybio.study.estimate import (
    ASSUMED,
    CorpusSize,
    Speed,
    cascade_hours,
    estimated,
    measured,
    scoring_hours,
    training_hours,
)
from raybio.study.runs import served_names
from raybio.training.adapter_faults import refusals
from raybio.training.adapter_shapes import count_parameters
from raybio.training.recipes import AdapterRecipe
from raybio.training.shapes import classifier_parameters, shape_of

_HEADER = ("run", "what", "GPUs", "hours", "dollars")
_LABELS = ("Entity",)  # how many there are changes next to nothing
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """`gpus` and `cpus` of all workers or replicas; hours and dollars are None where nothing tells them."""

    name: str
    what: str
    model: str
    corpus: str
    gpus: float
    cpus: float
    hours: float | None
    dollars: float | None

    def row(self) -> tuple[str, ...]:
        """Return it for a table."""
        hours = "–" if self.hours is None else f"{self.hours:,.2f}"
        return self.name, self.what, f"{self.gpus:g}", hours, dollars(self.dollars)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Every run of a study, and what the figures rest on, a sentence each."""

    runs: tuple[PlannedRun, ...]
    basis: tuple[str, ...]

    def text(self) -> str:
        """Return it for a person to read."""
        known = [run for run in self.runs if run.hours is not None]
        hours = sum(run.hours or 0.0 for run in known)
        gpu_hours = sum((run.hours or 0.0) * run.gpus for run in known)
        paid = sum(run.dollars or 0.0 for run in known)
        lines = align(_HEADER, [run.row() for run in self.runs], words=2)
        total = (
            f"{len(self.runs)} runs; the {len(known)} with an estimate take {hours:,.1f} hours one after the "
            f"other, {gpu_hours:,.1f} GPU hours, {dollars(paid)}. Estimates, which rest on:"
        )
        return "\n".join([*lines, "", total, *(f"  {line}" for line in self.basis)]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {"runs": [asdict(run) for run in self.runs], "basis": list(self.basis)}


def plan_study(study: StudyConfig) -> StudyPlan:
    """Plan every run of `study`; nothing is started, and no network is needed for the study's six models.

    Raises:
        ConfigError: holds every fault of every train config, and all that the preflight refuses.
    """
    table = cells(study)
    _refuse(study, table)
    machine = _machine(study)
    basis: dict[str, None] = {}
    grounds = {(cell.model.name, cell.corpus): _ground(study, cell, basis) for cell in table}
    runs = [run for ground in grounds.values() for run in _planned(study, ground, machine)]
    runs += _planned_cascades(study, grounds, machine)
    lines = [*basis, *(f"assumed: {line}" for line in ASSUMED), _said_of_price(machine)]
    if any("estimated" in line for line in basis):
        by = study.estimate
        lines.append(
            f"assumed: a GPU does {by.utilization:.0%} of {by.peak_tflops:g} tera-operations a second, "
            "whatever the batch; small batches and short sentences reach far less, so that runs take longer"
        )
    return StudyPlan(tuple(runs), tuple(lines))


def _refuse(study: StudyConfig, table: Sequence[Cell]) -> None:
    """See that every model can be built, and that the preflight has nothing against it.

    Raises:
        ConfigError: holds all that is wrong, each model's once.
    """
    faults: dict[str, None] = {}
    first_cells: dict[str, Cell] = {}  # a model's shape knows no corpus
    for cell in table:
        first_cells.setdefault(cell.model.name, cell)
    for cell in first_cells.values():
        for point in cell.points:
            try:
                architecture = _shape(point.model, point.allow_pickle)
            except ModelError as error:
                faults[f"{cell.model.name}: {error}"] = None
                continue
            if isinstance(point, TrainDecoderConfig):
                # Which machine runs it is not known yet: "auto" is taken to find a GPU.
                gpu = point.workers.accelerator != "cpu"
                faults |= dict.fromkeys(
                    f"{cell.model.name}: {one}"
                    for one in refusals(AdapterRecipe.of(point), architecture, gpu)
                )
    if faults:
        raise ConfigError(f"the study {study.name}", list(faults))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Makes a plan's rows for what runs on one corpus."""

    machine: InstancePrice
    corpus: str

    def row(
        self, name: str, what: str, model: str, place: tuple[float, float], hours: float | None
    ) -> PlannedRun:
        """Return a row; `place` is the GPUs and CPUs that the run asks for."""
        price = None if hours is None else _price(self.machine, *place, hours)
        return PlannedRun(name, what, model, self.corpus, *place, hours, price)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the rows of a cell rest on; `speed` is None where nobody knows it."""

    cell: Cell
    work: CorpusSize
    speed: Speed | None


def _ground(study: StudyConfig, cell: Cell, basis: dict[str, None]) -> _Ground:
    work, counted = _work(cell.points[0].corpus, cell.corpus, study.estimate.words_per_sentence)
    basis[f"sentences: {counted}"] = None
    speed = _speed(study, cell, work)
    how = speed.basis if speed else "not known: give sentences_per_second of a run on CPUs"
    basis[f"speed: {cell.model.name}: {how}"] = None
    return _Ground(cell, work, speed)


def _planned(study: StudyConfig, ground: _Ground, machine: InstancePrice) -> Iterator[PlannedRun]:
    cell, work, speed = ground.cell, ground.work, ground.speed
    first, model, rows = cell.points[0], cell.model, _Rows(machine, cell.corpus)
    place = _gpus(first), first.workers.num_workers * first.workers.cpus_per_worker
    for point in cell.points:
        hours = training_hours(point, work, speed) if speed else None
        yield rows.row(str(point.name), _settings(point), model.name, place, hours)
    chosen = f"{model.name}-{cell.corpus}"
    for seed in study.seeds[1:]:
        hours = training_hours(first, work, speed) if speed else None
        yield rows.row(f"{chosen}-s{seed}", "what dev chose, another seed", model.name, place, hours)
    for seed in study.seeds if cell.tested else ():
        hours = scoring_hours(work, speed) if speed else None
        yield rows.row(f"{chosen}-s{seed}-test", "test, once", model.name, place, hours)
    for name in served_names(cell) if cell.tested else ():
        yield from _measurement(study, rows, name, model.name, model.serve)


def _planned_cascades(
    study: StudyConfig, grounds: Mapping[tuple[str, str], _Ground], machine: InstancePrice
) -> Iterator[PlannedRun]:
    for cascade in study.cascades:
        corpora = [corpus for model, corpus in grounds if model == cascade.encoder]
        for corpus in corpora:
            encoder, decoder = grounds[cascade.encoder, corpus], grounds.get((cascade.decoder, corpus))
            if decoder is None or corpus not in (cascade.corpora or corpora):
                continue
            rows, name, hours = _Rows(machine, corpus), f"{cascade.name}-{corpus}", None
            if encoder.speed and decoder.speed:
                hours = cascade_hours(encoder.work, encoder.speed, decoder.speed, cascade.budget)
            place = min(1, _gpus(decoder.cell.points[0])), decoder.cell.points[0].workers.cpus_per_worker
            for seed in study.seeds:
                yield rows.row(f"{name}-s{seed}", "joined on dev, test once", cascade.name, place, hours)
            yield from _measurement(study, rows, cascade.name, cascade.name, cascade.serve)


def _measurement(
    study: StudyConfig, rows: _Rows, name: str, model: str, serve: ServedAsSection
) -> Iterator[PlannedRun]:
    """Yield the row of what is measured as `name`, on its replicas alone."""
    if study.measure.enabled:
        replicas = max([1, *study.measure.scaling.replicas])
        place = replicas * serve.gpus, replicas * serve.cpus
        yield rows.row(f"{name}-{rows.corpus}-measured", "served and measured", model, place, None)


def _settings(point: TrainConfig) -> str:
    training = point.training
    return f"rate {training.learning_rate:g}, batch {training.batch_size}, {training.epochs} epochs at most"


def _gpus(point: TrainConfig) -> int:
    return point.workers.num_workers if point.workers.accelerator == "gpu" else 0


def _speed(study: StudyConfig, cell: Cell, work: CorpusSize) -> Speed | None:
    first = cell.points[0]
    if cell.model.sentences_per_second:
        return measured(cell.model.sentences_per_second, cell.model.words_per_sentence, work)
    if not _gpus(first):
        return None
    return estimated(first, cell.corpus, work, _parameters(first), _gpus(first), study.estimate)


def _parameters(config: TrainConfig) -> int:
    architecture = _shape(config.model, config.allow_pickle)
    if isinstance(config, TrainDecoderConfig):
        return _decoder_parameters(config.model_copy(update={"name": None}).model_dump_json())
    return classifier_parameters(architecture)


@cache
def _shape(model: str, allow_pickle: bool) -> Any:
    return shape_of(model, allow_pickle)


@cache
def _decoder_parameters(config: str) -> int:
    chosen = TrainDecoderConfig.model_validate_json(config)
    return count_parameters(AdapterRecipe.of(chosen), _shape(chosen.model, chosen.allow_pickle), _LABELS).base


def _work(corpus: CorpusSection, name: str, words_per_sentence: float) -> tuple[CorpusSize, str]:
    """Return what a corpus holds, and where the numbers come from."""
    try:
        return _counted(corpus.model_dump_json(), name)
    except (RaybioError, OSError) as error:
        published = PUBLISHED_INSTANCES.get(corpus.name or "")
        if published is None:
            raise InputError(
                name, "", "cannot be counted, and nobody published its size", str(error)
            ) from error
        sentences = _published_part(corpus, published)
        words = corpus.instance_words or words_per_sentence
        size = f"{_size(name, sentences)}, published (Table I): the corpus is not here"
        return CorpusSize(sentences, words), f"{size}; {words:g} words a sentence, assumed"


def _published_part(corpus: CorpusSection, published: Mapping[str, int]) -> dict[str, int]:
    """Return the sentences of each split, as published, that are left of it where the config limits it."""
    sentences = {split: published[split] for split in SPLITS}
    if corpus.train_from_dev:
        sentences["train"] = round(corpus.train_from_dev * published["dev"])
        sentences["dev"] -= sentences["train"]
    return {split: min(count, corpus.document_limit(split) or count) for split, count in sentences.items()}


@cache
def _counted(section: str, name: str) -> tuple[CorpusSize, str]:
    corpus = CorpusSection.model_validate_json(section)
    sentences, words = {}, 0
    for split in SPLITS:
        lengths = [len(sentence) for sentence in read_sentences(corpus, split)]
        sentences[split] = len(lengths)
        words += sum(lengths)
    each = words / max(1, sum(sentences.values()))
    published = PUBLISHED_INSTANCES.get(corpus.name or "")
    beside = f"; published: {_size('', published).strip()}" if published else ""
    return CorpusSize(sentences, each), f"{_size(name, sentences)}, counted, of {each:.1f} words{beside}"


def _size(name: str, sentences: Any) -> str:
    return f"{name} " + ", ".join(f"{sentences[split]:,} {split}" for split in SPLITS)


def _machine(study: StudyConfig) -> InstancePrice:
    by = study.estimate
    path = Path(by.prices) if by.prices else shipped_prices()
    machines = {machine.name: machine for machine in load_prices(path)}
    if by.machine not in machines:
        fault = f"estimate.machine: found {by.machine!r}; allowed: one of {', '.join(machines)}"
        raise ConfigError(str(path), [fault])
    return machines[by.machine]


def _price(machine: InstancePrice, gpus: float, cpus: float, hours: float) -> float | None:
    """Return the dollars of a share of the machine: by its GPUs, or on a machine without any by its CPUs."""
    if bool(gpus) != bool(machine.gpus):
        return None
    share = gpus / machine.gpus if gpus else cpus / machine.vcpus
    return share * hours * machine.on_demand


def _said_of_price(machine: InstancePrice) -> str:
    device = f"{machine.gpus} x {machine.accelerator}" if machine.gpus else f"{machine.vcpus} vCPUs"
    return (
        f"price: {machine.name} ({device}) at ${machine.on_demand:g} an hour on demand, by the share a run "
        f"asks for; {machine.source}, read on {machine.date}"
    )
