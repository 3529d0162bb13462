"""The options of `job: tag-corpus`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from raybio.config.corpus import ADDED_FORMATS, ReadFormat
from raybio.config.decoding import Decoding, DecodingSection, ModelLabels, TaggerPrecision
from raybio.config.demand import Demand, Together
from raybio.config.section import (
    SPOT_TIMEOUT_S,
    START_TIMEOUT_S,
    AllowPickle,
    Files,
    JobConfig,
    Section,
    SpotTimeout,
    StartTimeout,
    Text,
)

if TYPE_CHECKING:
    WriteFormat: TypeAlias = str
else:
    _WRITTEN = "parquet pubtator bioc-json bioc-xml jsonl brat csv iob2"
    WriteFormat = Literal[(*_WRITTEN.split(), *ADDED_FORMATS)]

SMALL_BYTES = 1_000_000
"""What is left of an input is tagged without Ray if it is no larger: some 600 abstracts as text."""

OTHER_LANGUAGES = ("vernacular_title", "other_abstract")
"""The kinds of PubMed's passages that are not in English."""


def _parquet_first(formats: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("parquet", *formats)))


class TaggersSection(Section):
    """The pool of processes that hold the model."""

    count: int | None = Field(
        default=None,
        ge=1,
        description="taggers to start with; null = max_count, or as many as the cluster has room for",
    )
    max_count: int | None = Field(
        default=None,
        ge=1,
        description="taggers the pool may grow to, asked for at once where count is null; null = count",
    )
    cpus: float = Field(default=1.0, gt=0, description="CPUs that Ray sets aside for each tagger")
    gpus: float = Field(default=0.0, ge=0, description="GPUs for each tagger; a fraction shares one")
    threads: int = Field(default=1, ge=1, description="computing threads of each tagger on CPU")
    start_timeout_s: StartTimeout = START_TIMEOUT_S
    spot_timeout_s: SpotTimeout = SPOT_TIMEOUT_S
    on_ray: bool | None = Field(
        default=None,
        description="true = tag on Ray, false = in the process of the job; null = in the process what is at "
        "most 1 MB on disk, where no cluster is named (RAY_ADDRESS) and no number of taggers, GPU or "
        "shard_timeout_s asked for",
    )

    @property
    def of_each(self) -> dict[str, float]:
        """What Ray sets aside for each tagger."""
        return {"CPU": self.cpus, "GPU": self.gpus}

    @field_validator("max_count")
    @classmethod
    def _pool_can_start(cls, most: int | None, info: ValidationInfo) -> int | None:
        count = info.data.get("count")
        if most is not None and count is not None and most < count:
            raise ValueError(f"found {most}; allowed: at least count, which is {count}")
        return most

    @field_validator("on_ray")
    @classmethod
    def _one_process_can_be_enough(cls, on_ray: bool | None, info: ValidationInfo) -> bool | None:
        for name in ("count", "max_count", "gpus"):
            if on_ray is False and info.data.get(name):
                raise ValueError(f"found false; allowed with {name}: true or null")
        return on_ray


class ColumnsSection(Section):
    """Which columns of a table are read."""

    text: Files = Field(
        default=(), description="those with text, each a passage; [] = text, or title and abstract"
    )
    id: Text | None = Field(
        default=None, description="that of the ids, '#' to number the rows; null = id, document_id or pmid"
    )
    keep: Files | None = Field(
        default=None,
        description="columns, and attributes of documents in other formats, that travel along into the "
        "tables of mentions and documents; null = none there, and those of strings as attributes",
    )


def _files_alone(value: object) -> object:
    """Take a list, which is what `input` was at first, or one name, for its files."""
    return (
        {"files": [value] if isinstance(value, str) else value}
        if isinstance(value, str | list | tuple)
        else value
    )


class InputSection(Section):
    """What is tagged. A name, or a list of names, in its place is its files."""

    files: Files = Field(min_length=1, description="files, globs or folders to tag; paths or URLs")
    columns: ColumnsSection = Field(default=ColumnsSection(), description="which columns of a table are read")


class EntitiesSection(Section):
    """Which entities are kept, by the model's own labels."""

    labels: Files = Field(default=(), description="labels to keep; [] = all that the model has")
    min_score: float | dict[str, float] = Field(
        default=0.0, description="least score of an entity, one for all or one by label"
    )
    rename: dict[str, str] = Field(
        default={}, description="what labels are called in the output; labels and min_score know the model's"
    )


class TagCorpusConfig(JobConfig):
    """Tag every document of the input once, shard by shard; a second run tags what is left."""

    output_may_be_url: ClassVar[bool] = True

    job: Literal["tag-corpus"] = Field(description="which job this file configures")
    model: Text = Field(
        description="trained model: a folder such as RUN/model, a Hugging Face id or a URL (s3://...)"
    )
    allow_pickle: AllowPickle = False
    model_labels: ModelLabels = Field(default={})
    input: Annotated[InputSection, BeforeValidator(_files_alone)] = Field(
        description="files, globs or folders to tag, or a section of files and columns"
    )
    format: ReadFormat | None = Field(
        default=None, description="format of the input; null = by each file's suffix"
    )
    output: Text = Field(
        description="folder that receives the shards; a path or URL; what lies there is no input"
    )
    formats: Annotated[tuple[WriteFormat, ...], Field(strict=False), AfterValidator(_parquet_first)] = Field(
        default=("parquet",), description="formats to write; parquet is always among them"
    )
    entities: EntitiesSection = Field(default=EntitiesSection(), description="which entities are kept")
    skip_passages: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        default=OTHER_LANGUAGES,
        description="kinds of passages that are not tagged; those of PubMed in other languages",
    )
    shard_documents: int = Field(default=1000, ge=1, description="documents per shard, the unit of commit")
    max_record_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        description="size of the largest record read, in bytes, and 16 more for each of its parts (JSON "
        "values, XML elements, lines); a larger one is rejected",
    )
    taggers: TaggersSection = Field(
        default=TaggersSection(), description="the pool of processes that hold the model"
    )
    precision: TaggerPrecision = "auto"
    decoding: Decoding = DecodingSection()
    max_batch_tokens: int | None = Field(
        default=None,
        ge=16,
        description="subwords of one forward pass, padding included; null = as suits the device",
    )
    shard_timeout_s: float | None = Field(
        default=None,
        gt=0,
        description="seconds that tagging a shard may take before its worker counts as hung and is "
        "replaced; null = any time",
    )
    max_rejected: int | None = Field(
        default=None, ge=0, description="stop when more records than this are rejected; null = never"
    )
    on_change: Literal["refuse", "new-generation"] = Field(
        default="refuse", description="what to do when the output was made with another model or config"
    )

    @field_validator("shard_timeout_s")
    @classmethod
    def _a_worker_can_be_replaced(cls, seconds: float | None, info: ValidationInfo) -> float | None:
        taggers = info.data.get("taggers")
        if seconds is not None and taggers is not None and taggers.on_ray is False:
            raise ValueError(f"found {seconds:g}; allowed with taggers.on_ray=false: null")
        return seconds

    def demands(self) -> Sequence[Together]:
        """Return what its taggers ask of a cluster."""
        taggers = self.taggers
        return [(Demand("tagger", taggers.count or 1, taggers.cpus, taggers.gpus),)]
