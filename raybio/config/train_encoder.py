"""The options of `job: train-encoder`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from raybio.config.attention import LlmAttention
from raybio.config.decoding import TaggerPrecision
from raybio.config.faults import shown
from raybio.config.section import Files, HoldsAWindow, MaxLength, Section, Stride, Text
from raybio.config.training import (
    BatchSize,
    EncoderPrecision,
    LearningRate,
    LearningSection,
    MaxBatchTokens,
    TrainConfig,
)


class TrainingSection(LearningSection):
    """How an encoder is trained, how words become subwords and back, and which epoch is kept."""

    learning_rate: LearningRate = 3e-5
    batch_size: BatchSize = 16
    precision: EncoderPrecision = "auto"
    max_length: MaxLength = 512
    stride: Stride = 64
    long_inputs: Literal["windows", "cut"] = Field(
        default="windows",
        description="sentences longer than max_length: read in overlapping windows, or cut there with their "
        "gold tags, in training and in scoring, as in the study",
    )
    max_batch_tokens: Annotated[MaxBatchTokens, HoldsAWindow] = 16384
    label_subwords: Literal["all", "first", "last"] = Field(
        default="all",
        description="subwords that are labelled with their word's tag: all of them, the first, or the last",
    )
    aggregation_strategy: Literal["majority", "mean", "first", "last"] = Field(
        default="mean",
        description="a word's tag from its subwords: majority vote, highest mean probability, the first's, "
        "or the last's",
    )
    constrained_decoding: bool = Field(
        default=False,
        description="choose the most probable tags among those that IOB2 allows; "
        "false = each word's best tag, as in the study",
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="score and keep a running average of the weights, to which each step leaves this share "
        "of what it was (0.99 = of about the last hundred steps); null = the weights themselves",
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="learning rate of each layer as a share of that of the layer above it; 1 = all alike",
    )
    dropout: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="dropout everywhere in the model; null = as the model's own config has it. "
        "On CPU its random numbers are a good part of the time",
    )

    @field_validator("constrained_decoding")
    @classmethod
    def _votes_have_no_probability(cls, constrained: bool, info: ValidationInfo) -> bool:
        if constrained and info.data.get("aggregation_strategy") == "majority":
            raise ValueError(
                "found true, which needs probabilities: set aggregation_strategy to mean, first or last"
            )
        return constrained


class DistillationSection(Section):
    """Which trained taggers teach, and on what (Hinton et al., 2015)."""

    teachers: Files = Field(
        default=(),
        description="model folders of trained taggers that have the labels together, encoders or LLMs: the "
        "mean of the answers of those that have a label is its target; one process, with one worker's share "
        "of the machine, holds them all; none = gold alone",
    )
    weight: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="the teachers' share in the target of an annotated word; the rest is its gold tag's",
    )
    precision: TaggerPrecision = "auto"
    text: Files = Field(
        default=(),
        description="files without annotations, or whose annotations are left alone, that the teachers tag "
        "to be trained on too, sentence by sentence; their format is by their suffix, and a record "
        "that cannot be read ends the run",
    )
    max_text_documents: int | None = Field(
        default=None, ge=1, description="read only the first documents of each file of text; null = all"
    )

    @field_validator("weight", "precision", "text")
    @classmethod
    def _needs_teachers(cls, value: object, info: ValidationInfo) -> object:
        default = cls.model_fields[str(info.field_name)].default
        if value != default and not info.data.get("teachers", "faulty"):
            raise ValueError(f"found {shown(value)}, but there are no teachers; give teachers")
        return value

    @field_validator("max_text_documents")
    @classmethod
    def _needs_text(cls, limit: int | None, info: ValidationInfo) -> int | None:
        if limit is not None and not info.data.get("text", "faulty"):
            raise ValueError(f"found {limit}, but there is no text; give text")
        return limit


class TrainEncoderConfig(TrainConfig):
    """Train a token classifier on one corpus, choose its best epoch on dev, and score it on test."""

    job: Literal["train-encoder"] = Field(description="which job this file configures")
    model: Text = Field(
        description="encoder to start from: bundled:NAME, a Hugging Face id, a folder or a URL (s3://...)"
    )
    attention: LlmAttention = "causal"
    training: TrainingSection = Field(default=TrainingSection(), description="how the model is trained")
    distillation: DistillationSection = Field(
        default=DistillationSection(), description="which taggers teach it, beside the gold tags"
    )
