"""The options of `job: adapt-encoder`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raybio.config.section import Files, HoldsAWindow, MaxLength, Section, Stride, Text
from raybio.config.training import (
    BatchSize,
    EncoderPrecision,
    LearnConfig,
    LearningRate,
    MaxBatchTokens,
    OptimizationSection,
)


class TextSection(Section):
    """What is read, and what must not be."""

    files: Files = Field(
        min_length=1,
        description="files of text, whose annotations are left alone; format by their suffix, and a "
        "record that cannot be read ends the run",
    )
    max_documents: int | None = Field(
        default=None, ge=1, description="read only the first documents of each file; null = all"
    )
    decontaminate_against: Files = Field(
        default=(),
        description="files to stay unseen, such as a corpus's dev and test: a document that shares 13 words "
        "in a row with one of theirs is left out, and listed in left_out.jsonl",
    )
    validation_fraction: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="share of the sentences, at even distances, that is not trained on: each epoch's loss on "
        "them is logged",
    )


class MaskingSection(OptimizationSection):
    """How an encoder is trained to fill in words."""

    epochs: int = Field(default=3, ge=1, description="passes over the text")
    learning_rate: LearningRate = 1e-4
    batch_size: BatchSize = 128
    precision: EncoderPrecision = "auto"
    max_length: MaxLength = 512
    stride: Stride = 64
    max_batch_tokens: Annotated[MaxBatchTokens, HoldsAWindow] = 16384
    mlm_probability: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="share of the subwords that is to be predicted from the rest, whole words at a time",
    )


class AdaptEncoderConfig(LearnConfig):
    """Continue an encoder's pretraining on text of the field: it predicts hidden words from those around."""

    job: Literal["adapt-encoder"] = Field(description="which job this file configures")
    model: Text = Field(
        description="encoder to start from: bundled:NAME, a Hugging Face id, a folder or a URL (s3://...)"
    )
    text: TextSection = Field(description="what is read")
    training: MaskingSection = Field(default=MaskingSection(), description="how the model is trained")
