"""The options of `job: run-study`: corpora x models x rates and batches x seeds x decode modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from raybio.config.benchmark_serve import (
    OfflineSection,
    PaperSection,
    ScalingSection,
    ServerSection,
    SingleStreamSection,
)
from raybio.config.corpus import corpus_name
from raybio.config.decoding import TaggerPrecision
from raybio.config.faults import FaultsError, KeyPath, closest
from raybio.config.protocol import Protocol, corpus_by
from raybio.config.section import FileName, JobConfig, Section, Text
from raybio.config.union import MemberSection

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Mode = Literal["greedy", "verified-text", "forced-tags", "verified-tags"]

_OPTIONS = "dotted options of its train config that are other than in the file; sweep may be among them"


class ServedAsSection(Section):
    """How a model of the study is served when it is measured."""

    precision: TaggerPrecision = "auto"
    cpus: float = Field(default=1.0, ge=0, description="CPUs that Ray sets aside for each replica")
    gpus: float = Field(default=0.0, ge=0, description="GPUs for each replica; a fraction shares one")
    max_batch_words: int = Field(default=1024, ge=1, description="words that the model tags together")


class StudyModelSection(Section):
    """One model: a train config, what is changed in it, and how the result is measured."""

    name: FileName = Field(description="what the study calls the model")
    config: Text = Field(description="train config (train-encoder or train-decoder) that it is made by")
    options: dict[str, Any] = Field(default={}, description=_OPTIONS)
    corpora: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        default=(), description="the study's corpora that it is run on, by name; none = all"
    )
    together: bool = Field(
        default=False,
        description="one model of all its corpora, which it learns as a list and is scored on one by one; "
        "false = a model of each",
    )
    variant_of: FileName | None = Field(
        default=None,
        description="model of the study that it is compared with on dev; null = the first of the same file",
    )
    teachers: Annotated[tuple[FileName, ...], Field(strict=False)] = Field(
        default=(),
        description="models of the study, above this one, that teach it (an encoder's `distillation`): "
        "as dev chose them, of every seed, on the same corpus",
    )
    modes: Annotated[tuple[Mode, ...], Field(strict=False)] = Field(
        default=(), description="decode modes in which an LLM is measured; none = as it is by default"
    )
    draft: FileName | None = Field(
        default=None,
        description="encoder of the study whose tags the verified modes try first; null = O for all",
    )
    serve: ServedAsSection = Field(default=ServedAsSection(), description="how it is served to be measured")
    sentences_per_second: float | None = Field(
        default=None,
        gt=0,
        description="speed of its training on all its workers, as you measured it, for `raybio study plan`; "
        "null = estimated from the model's size, on GPUs",
    )
    words_per_sentence: float = Field(
        default=26.0, gt=0, description="words of a sentence where sentences_per_second was measured"
    )


class StudyCascadeSection(Section):
    """An encoder and an LLM of the study, joined once both are trained."""

    name: FileName = Field(description="what the study calls the cascade")
    encoder: FileName = Field(description="model of the study that tags every sentence")
    decoder: FileName = Field(description="model of the study that reads again what the encoder is unsure of")
    budget: float = Field(default=0.2, ge=0, le=1, description="share of sentences to read again")
    corpora: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        default=(), description="the study's corpora that it is run on, by name; none = all"
    )
    serve: ServedAsSection = Field(default=ServedAsSection(), description="how it is served to be measured")


class SearchSection(Section):
    """How the values of a train config's `sweep` are searched, on dev and with the first seed."""

    method: Literal["grid", "asha"] = Field(
        default="grid",
        description="grid = every combination to its end, as in the study; asha = many stop early (Ray Tune)",
    )
    grace_epochs: int = Field(
        default=2, ge=1, description="asha: epochs that every combination is trained for"
    )
    reduction: int = Field(default=3, ge=2, description="asha: one of so many continues at each halt")


class MeasureSection(Section):
    """How chosen models are measured behind Ray Serve: the scenarios of `job: benchmark-serve`."""

    enabled: bool = Field(default=True, description="measure the models that were scored on test")
    warmup_seconds: float = Field(default=5.0, ge=0, description="how long requests come before the clock")
    single_stream: SingleStreamSection = Field(
        default=SingleStreamSection(), description="one sentence at a time"
    )
    server: ServerSection = Field(default=ServerSection(), description="sentences that arrive at random")
    offline: OfflineSection = Field(default=OfflineSection(), description="the whole split at once")
    scaling: ScalingSection = Field(default=ScalingSection(), description="offline with more replicas")
    paper: PaperSection = Field(default=PaperSection(), description="the study's way to time")


class EstimateSection(Section):
    """What `raybio study plan` takes for granted where nothing was measured."""

    machine: Text = Field(
        default="p5.48xlarge",
        description="machine of the price list that is paid for; where it has GPUs, runs without any are "
        "priced on the cheapest machine that has none",
    )
    prices: Text | None = Field(default=None, description="price list; null = the one that comes with raybio")
    peak_tflops: float = Field(
        default=989.4,
        gt=0,
        description="tera-operations per second of one GPU in bf16; 989.4 is an H100 SXM's",
    )
    utilization: float = Field(
        default=0.3, gt=0, le=1, description="share of them that training is assumed to reach"
    )
    words_per_sentence: float = Field(
        default=26.0, gt=0, description="words of a sentence, where the corpus is not at hand to be counted"
    )


class StudyConfig(JobConfig):
    """Train, score, measure and price every model on every corpus; a study is a folder of run folders."""

    job: Literal["run-study"] = Field(description="which job this file configures")
    name: FileName = Field(description="name of the study's folder")
    output: Text = Field(default="studies", description="folder that receives the study's folder")
    protocol: Protocol = Field(
        default="corrected",
        description="corrected = train configs as they stand; study = what the published code did, each "
        "point an option that `options` can take back",
    )
    corpora: Annotated[tuple[MemberSection, ...], Field(strict=False)] = Field(
        min_length=1,
        description="corpora that every model is trained on, one after the other or, `together`, as a list",
    )
    models: Annotated[tuple[StudyModelSection, ...], Field(strict=False)] = Field(
        min_length=1, description="models to train"
    )
    cascades: Annotated[tuple[StudyCascadeSection, ...], Field(strict=False)] = Field(
        default=(), description="cascades to make of them"
    )
    options: dict[str, Any] = Field(
        default={}, description="dotted options of every train config; a model's own go before them"
    )
    seeds: Annotated[tuple[Seed, ...], Field(strict=False)] = Field(
        default=(1,),
        min_length=1,
        description="seeds; the first one searches, the others repeat what it chose",
    )
    search: SearchSection = Field(default=SearchSection(), description="how rates and batches are searched")
    measure: MeasureSection = Field(default=MeasureSection(), description="how chosen models are measured")
    estimate: EstimateSection = Field(
        default=EstimateSection(), description="what the plan's estimates rest on"
    )

    @field_validator("corpora")
    @classmethod
    def _read_by_the_protocol(
        cls, corpora: tuple[MemberSection, ...], info: ValidationInfo
    ) -> tuple[MemberSection, ...]:
        return tuple(corpus_by(info.data.get("protocol", "corrected"), corpus) for corpus in corpora)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if found := [*_repeated_names(self), *_unknown_names(self), *_never_together(self)]:
            raise FaultsError(found)
        return self


def _repeated_names(study: StudyConfig) -> Iterator[tuple[KeyPath, str]]:
    for key, names in (
        ("models", [*(model.name for model in study.models), *(each.name for each in study.cascades)]),
        ("corpora", [corpus_name(corpus) for corpus in study.corpora]),
        ("seeds", list(map(str, study.seeds))),
    ):
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                yield (key,), f"found {name!r} more than once; give each a name of its own"


def _unknown_names(study: StudyConfig) -> Iterator[tuple[KeyPath, str]]:
    models = [model.name for model in study.models]
    corpora = [corpus_name(corpus) for corpus in study.corpora]
    for i, model in enumerate(study.models):
        yield from _unknown(("models", i, "corpora"), model.corpora, corpora)
        for key, name in (("draft", model.draft), ("variant_of", model.variant_of)):
            yield from _unknown(("models", i, key), [name] if name else [], models)
        yield from _unknown(("models", i, "teachers"), model.teachers, models)
        yield from _idle_teachers(study, i)
    for i, cascade in enumerate(study.cascades):
        yield from _unknown(("cascades", i, "corpora"), cascade.corpora, corpora)
        yield from _unknown(("cascades", i, "encoder"), [cascade.encoder], models)
        yield from _unknown(("cascades", i, "decoder"), [cascade.decoder], models)


def _idle_teachers(study: StudyConfig, i: int) -> Iterator[tuple[KeyPath, str]]:
    model, at = study.models[i], ("models", i, "teachers")
    if model.teachers and "distillation.teachers" in {**study.options, **model.options}:
        yield at, "found some, and distillation.teachers among the options; keep one of the two"
    for j, teacher in enumerate(study.models):
        if teacher.name not in model.teachers:
            continue
        if j >= i:
            yield at, f"found {teacher.name!r}, which stands below; put teachers above those that they teach"
        if teacher.together and not model.together:
            yield at, f"found {teacher.name!r}, which learns corpora together; it can teach one that does too"
        for corpus in _corpora(study, model):
            if corpus not in _corpora(study, teacher):
                yield at, f"found {teacher.name!r}, which is not trained on {corpus}; add it to its corpora"


def _never_together(study: StudyConfig) -> Iterator[tuple[KeyPath, str]]:
    """Yield what cannot be, or has no effect, beside models that learn corpora together, or without any."""
    together = {model.name for model in study.models if model.together}
    for i, model in enumerate(study.models):
        if model.together and len(_corpora(study, model)) == 1:
            yield ("models", i, "together"), "found true, and one corpus; it takes two at least"
        if model.draft and {model.name, model.draft} & together:
            yield ("models", i, "draft"), "goes with models of one corpus only; remove it, or together"
    for i, cascade in enumerate(study.cascades):
        for key in ("encoder", "decoder"):
            if getattr(cascade, key) in together:
                yield ("cascades", i, key), "learns corpora together; a cascade joins models of one corpus"
    for i, corpus in enumerate(study.corpora):
        if study.cascades and (corpus.labels or corpus.annotates):
            yield ("corpora", i), "a cascade takes labels as the corpus has them; remove cascades, or labels"
        if not together and corpus.weight != 1.0:
            yield ("corpora", i, "weight"), "counts where a model learns corpora together, and none does"


def _corpora(study: StudyConfig, model: StudyModelSection) -> Sequence[str]:
    return model.corpora or [corpus_name(corpus) for corpus in study.corpora]


def _unknown(at: KeyPath, names: Sequence[str], known: Sequence[str]) -> Iterator[tuple[KeyPath, str]]:
    for name in names:
        if name not in known:
            match = closest(name, known)
            hint = f"; did you mean {match!r}?" if match else ""
            yield at, f"found {name!r}; allowed: one of {', '.join(known)}{hint}"
