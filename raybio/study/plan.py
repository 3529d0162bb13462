"""What a study will take, before anything is started: every run with its GPUs, hours and dollars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from raybio.config import CorpusSection, StudyConfig, TrainConfig, TrainDecoderConfig, sections_of
from raybio.config.prices import InstancePrice, load_prices, shipped_prices
from raybio.config.study import EstimateSection
from raybio.config.study_cells import Cell, cells
from raybio.config.union import plain
from raybio.corpora.statistics import PUBLISHED_INSTANCES
from raybio.cost import dollars, share_dollars
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
    together,
    training_hours,
)
from raybio.study.stages import Stage, stages
from raybio.training.adapter_faults import refusals
from raybio.training.recipes import AdapterRecipe
from raybio.training.shapes import classifier_parameters, shape_of

_HEADER = ("run", "what", "GPUs", "hours", "dollars")
SPLITS = ("train", "dev", "test")
_shape = cache(shape_of)


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
        total = f"{len(self.runs)} runs, none with an estimate. What is known, and what an estimate lacks:"
        if known:
            total = (
                f"{len(self.runs)} runs; the {len(known)} with an estimate take {hours:,.1f} hours one after "
                f"the other, {gpu_hours:,.1f} GPU hours, {dollars(paid)}. Estimates, which rest on:"
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
    machines = _machines(study.estimate)
    grounds = {(cell.model.name, cell.corpus): _ground(study.estimate, cell) for cell in table}
    scaled_to = max([1, *study.measure.scaling.replicas])
    runs = [row for stage in stages(study, table) for row in _rows(stage, grounds, scaled_to, machines)]
    basis = dict.fromkeys(line for ground in grounds.values() for line in ground.basis)
    paid = dict.fromkeys(machine for run in runs if (machine := machines[run.gpus > 0]))
    lines = [*basis, *(f"assumed: {line}" for line in ASSUMED), *map(_price, paid)]
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
class _Ground:
    """What the rows of a cell rest on, and a sentence each on that; `speed` is None where nobody knows it."""

    work: CorpusSize
    speed: Speed | None
    basis: tuple[str, str]


def _ground(by: EstimateSection, cell: Cell) -> _Ground:
    first, model, speed = cell.points[0], cell.model, None
    sections = zip(sections_of(first.corpus), cell.corpora, strict=True)
    parts = [_work(plain(section), name, by.words_per_sentence) for section, name in sections]
    work, counted = together([size for size, _ in parts]), "; ".join(basis for _, basis in parts)
    if model.sentences_per_second:
        speed = measured(model.sentences_per_second, model.words_per_sentence, work)
    elif _gpus(first):
        parameters = _parameters(first.model, first.allow_pickle, getattr(first, "head", "encoder"))
        speed = estimated(first, cell.corpus, work, parameters, _gpus(first), by)
    how = speed.basis if speed else "not known: give sentences_per_second of a run on CPUs"
    return _Ground(work, speed, (f"sentences: {counted}", f"speed: {model.name}: {how}"))


def _rows(
    stage: Stage,
    grounds: Mapping[tuple[str, str], _Ground],
    scaled_to: int,
    machines: Mapping[bool, InstancePrice | None],
) -> Iterator[PlannedRun]:
    """Yield the rows of a stage: one, but of a search one for each of its points."""
    cell, cascade = stage.cell, stage.cascade
    model, first = cascade.name if cascade else cell.model.name, cell.points[0]
    ground = grounds[cell.model.name, cell.corpus]

    def row(name: str, what: str, hours: float | None, gpus: float, cpus: float) -> PlannedRun:
        machine = machines[gpus > 0]
        price = None if hours is None or machine is None else share_dollars(machine, gpus, cpus, hours)
        return PlannedRun(name, what, model, cell.corpus, gpus, cpus, hours, price)

    place = _gpus(first), first.workers.num_workers * first.workers.cpus_per_worker
    if stage.kind == "measure":
        serve = cascade.serve if cascade else cell.model.serve
        yield row(stage.name, "served and measured", None, scaled_to * serve.gpus, scaled_to * serve.cpus)
    elif cascade:
        decoder, (point,), hours = grounds[cascade.decoder, cell.corpus], stage.points, None
        if ground.speed and decoder.speed:
            hours = cascade_hours(ground.work, ground.speed, decoder.speed, cascade.budget)
        place = min(1, _gpus(point)), point.workers.cpus_per_worker
        yield row(stage.name, "joined on dev, test once", hours, *place)
    elif stage.kind == "test":
        hours = scoring_hours(ground.work, ground.speed) if ground.speed else None
        yield row(stage.name, "test, once", hours, *place)
    else:
        for point in stage.points:
            hours = training_hours(point, ground.work, ground.speed) if ground.speed else None
            name, what, training = str(point.name), "what dev chose, another seed", point.training
            if point.seed == stage.seed:
                rate, batch = training.learning_rate, training.batch_size
                what = f"rate {rate:g}, batch {batch}, {training.epochs} epochs at most"
            else:
                name = stage.name
            yield row(name, what, hours, *place)


def _gpus(point: TrainConfig) -> int:
    return point.workers.num_workers if point.workers.accelerator == "gpu" else 0


@cache
def _parameters(model: str, allow_pickle: bool, head: str) -> int:
    """Count a model's own parameters: what a head or an adapter adds changes next to nothing."""
    architecture = _shape(model, allow_pickle)
    if head == "text":
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(architecture).num_parameters()
    return classifier_parameters(architecture)


def _work(corpus: CorpusSection, name: str, words_per_sentence: float) -> tuple[CorpusSize, str]:
    """Return what a corpus holds, and where the numbers come from."""
    published = PUBLISHED_INSTANCES.get(corpus.name or "")
    try:
        size = _counted(corpus)
    except (RaybioError, OSError) as error:
        if published is None:
            raise InputError(
                name, "", "cannot be counted, and nobody published its size", str(error)
            ) from error
        words = corpus.instance_words or words_per_sentence
        size = CorpusSize(_published_part(corpus, published), words)
        basis = "published (Table I): the corpus is not here"
        return size, f"{name} {_splits(size.sentences)}, {basis}; {words:g} words a sentence, assumed"
    beside = f"; published: {_splits(published)}" if published else ""
    words = size.words_per_sentence
    return size, f"{name} {_splits(size.sentences)}, counted, of {words:.1f} words{beside}"


@cache
def _counted(corpus: CorpusSection) -> CorpusSize:
    sentences, words = {}, 0
    for split in SPLITS:
        lengths = [len(sentence) for sentence in read_sentences(corpus, split)]
        sentences[split] = len(lengths)
        words += sum(lengths)
    return CorpusSize(sentences, words / max(1, sum(sentences.values())))


def _published_part(corpus: CorpusSection, published: Mapping[str, int]) -> dict[str, int]:
    """Return the sentences of each split, as published, that are left of it where the config limits it."""
    sentences = {split: published[split] for split in SPLITS}
    if corpus.train_from_dev:
        sentences["train"] = round(corpus.train_from_dev * published["dev"])
        sentences["dev"] -= sentences["train"]
    return {split: min(count, corpus.document_limit(split) or count) for split, count in sentences.items()}


def _splits(sentences: Mapping[str, int]) -> str:
    return ", ".join(f"{sentences[split]:,} {split}" for split in SPLITS)


def _machines(by: EstimateSection) -> Mapping[bool, InstancePrice | None]:
    """Return the machine that is paid for runs with GPUs (True) and without (False); None: there is none."""
    machines = {machine.name: machine for machine in load_prices(by.prices)}
    if by.machine not in machines:
        fault = f"estimate.machine: found {by.machine!r}; allowed: one of {', '.join(machines)}"
        raise ConfigError(by.prices or str(shipped_prices()), [fault])
    named = machines[by.machine]
    if not named.gpus:
        return {True: None, False: named}
    without = (machine for machine in machines.values() if not machine.gpus)
    return {True: named, False: min(without, key=lambda each: each.on_demand / each.vcpus, default=None)}


def _price(machine: InstancePrice) -> str:
    device = f"{machine.gpus} x {machine.accelerator}" if machine.gpus else f"{machine.vcpus} vCPUs"
    return (
        f"price: {machine.name} ({device}) at ${machine.on_demand:g} an hour on demand, by the share a run "
        f"asks for; {machine.source}, read on {machine.date}"
    )
