"""How a model is served: what `job: serve` and `job: benchmark-serve` have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from raybio.config.decoding import Decoding, DecodingSection, ModelLabels, TaggerPrecision
from raybio.config.demand import Demand
from raybio.config.section import (
    SPOT_TIMEOUT_S,
    START_TIMEOUT_S,
    AllowPickle,
    FileName,
    Section,
    SpotTimeout,
    StartTimeout,
    Text,
)


class AutoscalingSection(Section):
    """Replicas that come and go with the requests."""

    max_replicas: int | None = Field(
        default=None, ge=1, description="replicas there may be at most; null = no autoscaling"
    )
    target_ongoing_requests: float = Field(
        default=16.0, gt=0, description="requests each replica should have in flight; more calls for another"
    )
    upscale_delay_s: float = Field(
        default=10.0, ge=0, description="how long there must be too much to do before a replica is added"
    )
    downscale_delay_s: float = Field(
        default=300.0, ge=0, description="how long there must be too little to do before one goes"
    )


class ServedModelSection(Section):
    """One model and the replicas that hold it."""

    name: FileName = Field(description="what clients call the model")
    model: Text = Field(
        description="trained model: a folder such as RUN/model, a Hugging Face id or a URL (s3://...)"
    )
    allow_pickle: AllowPickle = False
    model_labels: ModelLabels = Field(default={})
    precision: TaggerPrecision = "auto"
    decoding: Decoding = DecodingSection()
    replicas: int = Field(
        default=1, ge=1, description="processes that hold the model; with autoscaling, the fewest"
    )
    autoscaling: AutoscalingSection = Field(
        default=AutoscalingSection(), description="replicas that come and go with the requests"
    )
    cpus: float = Field(default=1.0, ge=0, description="CPUs that Ray sets aside for each replica")
    gpus: float = Field(default=0.0, ge=0, description="GPUs for each replica; a fraction shares one")
    threads: int | None = Field(
        default=None, ge=1, description="computing threads of each replica on CPU; null = as many as its CPUs"
    )
    start_timeout_s: StartTimeout = START_TIMEOUT_S
    spot_timeout_s: SpotTimeout = SPOT_TIMEOUT_S
    max_batch_words: int = Field(
        default=1024,
        ge=1,
        description="words of the requests that the model tags together; a longer request goes alone",
    )
    batch_wait_ms: float = Field(
        default=0.0,
        ge=0,
        description="milliseconds an idle model waits for company for a request; "
        "while it is busy, requests gather anyway",
    )
    max_ongoing_requests: int = Field(
        default=1024,
        ge=1,
        description="requests at each replica, waiting or with the model; more are refused at once",
    )
    batch_timeout_s: float = Field(
        default=300.0, gt=0, description="a replica whose model takes longer over one batch is replaced"
    )
    graceful_shutdown_timeout_s: float = Field(
        default=20.0, ge=0, description="time for requests in flight when a replica is to stop"
    )

    @field_validator("autoscaling")
    @classmethod
    def _room_to_grow(cls, autoscaling: AutoscalingSection, info: ValidationInfo) -> AutoscalingSection:
        most, fewest = autoscaling.max_replicas, info.data.get("replicas")
        if most is not None and fewest is not None and most < fewest:
            raise ValueError(f"found max_replicas {most}; allowed: at least replicas, which is {fewest}")
        return autoscaling

    def demand(self, replicas: int) -> Demand:
        """Return what so many replicas ask of a cluster."""
        return Demand(f"replica of {self.name}", replicas, self.cpus, self.gpus)

    @property
    def max_replicas(self) -> int:
        """Replicas that there may be at one time."""
        return self.autoscaling.max_replicas or self.replicas

    @property
    def computing_threads(self) -> int:
        """Threads of each replica on CPU."""
        return self.threads or max(1, int(self.cpus))


def _each_has_a_name_of_its_own(models: tuple[ServedModelSection, ...]) -> tuple[ServedModelSection, ...]:
    if twice := repeated([model.name for model in models]):
        raise ValueError(f"found {twice!r} more than once; give each model a name of its own")
    return models


def repeated(names: list[str]) -> str | None:
    """Return the first of the names that is there more than once."""
    return next((name for name in names if names.count(name) > 1), None)


ServedModels = Annotated[
    tuple[ServedModelSection, ...], Field(strict=False), AfterValidator(_each_has_a_name_of_its_own)
]
