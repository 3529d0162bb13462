"""What a cascade's run folder says of how it was made; no job file has it, a study writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from raybio.config.corpus import CorpusSection
from raybio.config.demand import Together
from raybio.config.section import FileName, JobConfig, Text
from raybio.config.training import WorkersSection


class CascadeConfig(JobConfig):
    """An encoder and an LLM, both trained, and the corpus on whose dev split they are joined."""

    job: Literal["cascade"] = Field(default="cascade", description="what the run folder is of")
    encoder: Text = Field(description="model folder that tags every sentence")
    decoder: Text = Field(description="model folder that reads some again")
    budget: float = Field(ge=0, le=1, description="share of sentences to read again")
    corpus: CorpusSection = Field(description="corpus whose dev split chooses the threshold")
    output: Text = Field(default="runs", description="folder that receives the run folder")
    name: FileName | None = Field(default=None, description="name of the run folder")
    seed: int = Field(default=1, description="seed of resamples")
    bootstrap: int = Field(default=1000, ge=0, description="resamples of documents for 95 % intervals")
    workers: WorkersSection = Field(default=WorkersSection(), description="what scores it")

    def demands(self) -> Sequence[Together]:
        """Return what scoring it asks of a cluster."""
        return self.workers.demands()
