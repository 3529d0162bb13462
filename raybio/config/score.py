"""What the run folder of `raybio score` says of how it was made; no job file has it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raybio.config.decoding import TaggerPrecision
from raybio.config.section import FileName, JobConfig, Section, Text


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


class ScoreConfig(JobConfig):
    """Any tagger, scored on any text with gold."""

    job: Literal["score"] = Field(default="score", description="what the run folder is of")
    model: Text = Field(description="what was scored")
    corpus: ScoredCorpusSection = Field(description="what it was scored on")
    precision: TaggerPrecision = "auto"
    output: Text = Field(default="runs", description="folder that receives the run folder")
    name: FileName | None = Field(default=None, description="name of the run folder")
    seed: int = Field(default=1, description="seed of resamples")
    bootstrap: int = Field(default=1000, ge=0, description="resamples of documents for 95 % intervals")
