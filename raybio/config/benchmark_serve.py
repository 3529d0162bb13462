"""The options of `job: benchmark-serve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from raybio.config.corpus import corpus_name
from raybio.config.demand import Together
from raybio.config.section import FileName, JobConfig, Section, Text
from raybio.config.serving import ServedModels, ServedModelSection, repeated
from raybio.config.union import MeasuredCorpusSection

CORPUS = "{corpus}"
"""What stands for the corpus's name in the names of models."""

Rate = Annotated[float, Field(gt=0)]
Replicas = Annotated[int, Field(ge=1)]


class SingleStreamSection(Section):
    """One sentence at a time, the next when the last was answered: seconds per instance."""

    requests: int = Field(
        default=500,
        ge=0,
        description="sentences to ask for, drawn from the split; 0 = leave this scenario out",
    )


class ServerSection(Section):
    """Single sentences that arrive at random (Poisson) at stated rates, whether or not others wait."""

    rates: Annotated[tuple[Rate, ...], Field(strict=False)] = Field(
        default=(), description="requests per second, each a point of its own"
    )
    loads: Annotated[tuple[Rate, ...], Field(strict=False)] = Field(
        default=(0.5, 0.8),
        description="more rates, as shares of the sentences per second that offline has just reached",
    )
    requests: int = Field(
        default=400, ge=1, description="requests at each rate; 368 and more bound the 99th percentile"
    )
    seconds: float = Field(default=120.0, gt=0, description="how long requests arrive at each rate, at most")
    target_seconds: float = Field(
        default=1.0, gt=0, description="latency that counts as good, from the scheduled time on"
    )


class OfflineSection(Section):
    """The whole split at once, as fast as it goes. Always run: its answers are scored."""

    request_sentences: int = Field(default=16, ge=1, description="sentences of one request")
    window: int = Field(default=8, ge=1, description="requests in flight for each replica")


class ScalingSection(Section):
    """Offline once more with fixed numbers of replicas."""

    replicas: Annotated[tuple[Replicas, ...], Field(strict=False)] = Field(
        default=(), description="numbers of replicas, rising from 1; none = leave this scenario out"
    )

    @field_validator("replicas")
    @classmethod
    def _from_one_upwards(cls, replicas: tuple[int, ...]) -> tuple[int, ...]:
        if replicas and (replicas[0] != 1 or sorted(set(replicas)) != list(replicas)):
            raise ValueError(
                f"found {list(replicas)}; allowed: rising numbers from 1, which is compared with"
            )
        return replicas


class PaperSection(Section):
    """The study's way to time: the whole split through the bare tagger in padded batches, no warm-up."""

    batch_size: int = Field(
        default=16, ge=0, description="sentences padded to their longest; 0 = leave this scenario out"
    )


class BenchmarkServeConfig(JobConfig):
    """Score test splits through served models, and measure how fast they are and what they cost."""

    starts_anew: ClassVar[bool] = True

    job: Literal["benchmark-serve"] = Field(description="which job this file configures")
    models: ServedModels = Field(
        min_length=1,
        description="models to serve, one after the other; "
        "{corpus} in model and draft_model stands for the corpus's name",
    )
    corpora: Annotated[tuple[MeasuredCorpusSection, ...], Field(strict=False)] = Field(
        min_length=1, description="corpora whose test split every model tags"
    )
    output: Text = Field(default="runs", description="folder that receives one run folder per run")
    name: FileName | None = Field(default=None, description="name of the run folder; null = from the time")
    seed: int = Field(
        default=1, ge=0, le=2**32 - 1, description="seed of arrivals, drawn sentences and resamples"
    )
    warmup_seconds: float = Field(
        default=5.0, ge=0, description="how long requests fill the concurrency before the clock starts"
    )
    single_stream: SingleStreamSection = Field(
        default=SingleStreamSection(), description="one sentence at a time"
    )
    server: ServerSection = Field(default=ServerSection(), description="sentences that arrive at random")
    offline: OfflineSection = Field(default=OfflineSection(), description="the whole split at once")
    scaling: ScalingSection = Field(default=ScalingSection(), description="offline with more replicas")
    paper: PaperSection = Field(default=PaperSection(), description="the study's way to time")
    bootstrap: int = Field(
        default=1000, ge=0, description="resamples of documents for 95 % intervals of F1; 0 = no intervals"
    )

    @field_validator("corpora")
    @classmethod
    def _names_tell_corpora_apart(
        cls, corpora: tuple[MeasuredCorpusSection, ...]
    ) -> tuple[MeasuredCorpusSection, ...]:
        if twice := repeated([corpus_name(corpus) for corpus in corpora]):
            raise ValueError(f"found {twice!r} more than once; give each corpus once")
        return corpora

    def demands(self) -> Sequence[Together]:
        """Return what each of its models asks of a cluster: they are deployed one after the other."""
        return [(model.demand(self.replicas_at_once(model)),) for model in self.models]

    def replicas_at_once(self, model: ServedModelSection) -> int:
        """Return how many replicas of the model the benchmark has at one time, at most."""
        return max(model.max_replicas, *self.scaling.replicas, 1)


def served_on(model: ServedModelSection, corpus: MeasuredCorpusSection) -> ServedModelSection:
    """Return the model as it is served for `corpus`, whose name stands where `{corpus}` stood."""
    name = corpus_name(corpus)
    draft = model.decoding.draft_model
    decoding = {"draft_model": draft.replace(CORPUS, name)} if draft else {}
    return model.model_copy(
        update={
            "model": model.model.replace(CORPUS, name),
            "decoding": model.decoding.model_copy(update=decoding),
        }
    )
