"""What a soup's run folder says of how it was made; no job file has it, `raybio soup` writes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raybio.config.section import FileName, JobConfig, Text
from raybio.config.training import WorkersSection
from raybio.config.union import AnyCorpus


class SoupConfig(JobConfig):
    """The mean of the weights of encoders that began as one model and were trained on one corpus."""

    job: Literal["soup"] = Field(default="soup", description="what the run folder is of")
    runs: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        min_length=2, description="run folders of the encoders"
    )
    model: Text = Field(description="pretrained model that all of them began as")
    corpus: AnyCorpus = Field(description="corpus that all of them were trained on")
    output: Text = Field(default="runs", description="folder that receives the run folder")
    name: FileName = Field(description="name of the run folder")
    seed: int = Field(default=1, description="seed of resamples")
    bootstrap: int = Field(default=1000, ge=0, description="resamples of documents for 95 % intervals")
    workers: WorkersSection = Field(default=WorkersSection(), description="what scores it")
