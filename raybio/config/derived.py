"""What run folders say of how they were made, where no job file has it: a cascade, a soup, a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from raybio.config.corpus import CorpusSection
from raybio.config.decoding import TaggerPrecision
from raybio.config.demand import Together
from raybio.config.section import FileName, JobConfig, Section, Text
from raybio.config.training import WorkersSection
from raybio.config.union import AnyCorpus


class _DerivedConfig(JobConfig):
    output: Text = Field(default="runs", description="folder that receives the run folder")
    name: FileName | None = Field(default=None, description="name of the run folder")
    seed: int = Field(default=1, description="seed of resamples")
    bootstrap: int = Field(default=1000, ge=0, description="resamples of documents for 95 % intervals")


class CascadeConfig(_DerivedConfig):
    """An encoder and an LLM, both trained, and the corpus on whose dev split they are joined."""

    job: Literal["cascade"] = Field(default="cascade", description="what the run folder is of")
    encoder: Text = Field(description="model folder that tags every sentence")
    decoder: Text = Field(description="model folder that reads some again")
    budget: float = Field(ge=0, le=1, description="share of sentences to read again")
    corpus: CorpusSection = Field(description="corpus whose dev split chooses the threshold")
    workers: WorkersSection = Field(default=WorkersSection(), description="what scores it")

    def demands(self) -> Sequence[Together]:
        """Return what scoring it asks of a cluster."""
        return self.workers.demands()


class SoupConfig(_DerivedConfig):
    """The mean of the weights of encoders that began as one model and were trained on one corpus."""

    job: Literal["soup"] = Field(default="soup", description="what the run folder is of")
    runs: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        min_length=2, description="run folders of the encoders"
    )
    model: Text = Field(description="pretrained model that all of them began as")
    corpus: AnyCorpus = Field(description="corpus that all of them were trained on")
    name: FileName = Field(description="name of the run folder")
    workers: WorkersSection = Field(default=WorkersSection(), description="what scores it")


class ScoredCorpusSection(Section):
    """What a model was scored on."""

    name: FileName = Field(description="what reports call it: a known corpus, a folder's name, or a title")
    path: Text | None = Field(default=None, description="the file or folder with gold; null = by name")
    format: Text | None = Field(default=None, description="its format; null = by its suffix")
    data: Text | None = Field(default=None, description="folder of the known corpora")
    split: Literal["train", "dev", "test"] = Field(default="test", description="which part of it")

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name


class ScoreConfig(_DerivedConfig):
    """Any tagger, scored on any text with gold."""

    job: Literal["score"] = Field(default="score", description="what the run folder is of")
    model: Text = Field(description="what was scored")
    corpus: ScoredCorpusSection = Field(description="what it was scored on")
    precision: TaggerPrecision = "auto"
