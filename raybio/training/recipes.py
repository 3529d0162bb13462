"""What a training job's config says, as the nouns that training takes: here the config stops.

A recipe is how a model learns; where its run goes, and what is done with the result, the doors know
(`train_encoder`, `train_decoder`, `adapt_encoder`, the preflights and the rehearsal).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from raybio.config import (
    AdaptEncoderConfig,
    CascadeConfig,
    DecoderTrainingSection,
    DecodingSection,
    DeepSpeedSection,
    DevSection,
    LoraSection,
    MaskingSection,
    PromptSection,
    QuantizationSection,
    SoupConfig,
    TrainConfig,
    TrainDecoderConfig,
    TrainEncoderConfig,
    TrainingSection,
    WorkersSection,
)
from raybio.config.attention import Blocks
from raybio.members import Member
from raybio.model_sources import ModelReference
from raybio.run_folder import RunFolder

Training: TypeAlias = TrainingSection | DecoderTrainingSection | MaskingSection
"""How weights are moved; each kind of model has options of its own."""


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """How an encoder learns to tag; `model` is the name of what it starts from."""

    model: str
    seed: int
    training: TrainingSection
    attention: str | Blocks

    @classmethod
    def of(cls, config: TrainEncoderConfig) -> EncoderRecipe:
        """Return that of a config."""
        return cls(config.model, config.seed, config.training, config.attention)

    def less_memory(self) -> list[str]:
        """Return what a user can do where it does not fit into memory."""
        return [_smaller_passes(self.training)]


@dataclass(frozen=True, slots=True)
class MaskingRecipe:
    """How an encoder learns to fill in hidden words."""

    model: str
    seed: int
    training: MaskingSection

    @classmethod
    def of(cls, config: AdaptEncoderConfig) -> MaskingRecipe:
        """Return that of a config."""
        return cls(config.model, config.seed, config.training)

    def less_memory(self) -> list[str]:
        """Return what a user can do where it does not fit into memory."""
        return [_smaller_passes(self.training)]


@dataclass(frozen=True, slots=True)
class AdapterRecipe:
    """How an LLM learns to tag: its head, how the base is held, the adapter on it, and how that is trained.

    `wording` is that of prompts, which a token classifier (`head: tags`) has none of.
    """

    model: str
    seed: int
    training: DecoderTrainingSection
    attention: str | Blocks
    head: Literal["text", "tags"]
    wording: PromptSection
    quantization: QuantizationSection
    lora: LoraSection
    deepspeed: DeepSpeedSection
    dev: DevSection

    @classmethod
    def of(cls, config: TrainDecoderConfig) -> AdapterRecipe:
        """Return that of a config."""
        return cls(
            model=config.model,
            seed=config.seed,
            training=config.training,
            attention=config.attention,
            head=config.head,
            wording=config.prompt,
            quantization=config.quantization,
            lora=config.lora,
            deepspeed=config.deepspeed,
            dev=config.dev,
        )

    def less_memory(self) -> list[str]:
        """Return what a user can do where it does not fit into memory."""
        ways = [_smaller_passes(self.training)]
        if not self.training.gradient_checkpointing:
            ways.append("set training.gradient_checkpointing=true")
        if self.quantization.bits != 4:
            ways.append("set quantization.bits=4")
        return ways

    def takes_paged(self, gpu: bool) -> bool:
        """Say whether the optimizer is the paged 8-bit one."""
        if self.training.optimizer == "auto":
            return gpu and self.deepspeed.offload == "none"
        return self.training.optimizer == "paged-adamw-8bit"


def _smaller_passes(training: Training) -> str:
    return f"training.max_batch_tokens (now {training.max_batch_tokens})"


AnyRecipe: TypeAlias = EncoderRecipe | MaskingRecipe | AdapterRecipe
Recipe_co = TypeVar("Recipe_co", bound=AnyRecipe, covariant=True)


@dataclass(frozen=True, slots=True)
class Task(Generic[Recipe_co]):
    """What each worker is given.

    `base` is the folder on this node of `model`, which the run starts from. Where tags are learned, `labels`
    are theirs, `members` the corpora that they are learned from, `trained_on` is what a card says of these,
    and `dev_sentences` how many sentences of dev an epoch is scored on (None = all, 0 = none, since dev is
    trained on). With `in_parts` each worker reads a part of train of its own (`parts`).
    """

    run: RunFolder
    model: ModelReference
    base: Path
    recipe: Recipe_co
    workers: WorkersSection
    labels: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    trained_on: str = ""
    dev_sentences: int | None = 0
    in_parts: bool = False


def tagging_recipe(config: TrainEncoderConfig | TrainDecoderConfig) -> EncoderRecipe | AdapterRecipe:
    """Return that of a config, of either kind."""
    if isinstance(config, TrainEncoderConfig):
        return EncoderRecipe.of(config)
    return AdapterRecipe.of(config)


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a run's model is scored: by which workers, and loaded how.

    `dev_sentences` is as a task has it; with `cut`, sentences end where an encoder's window does.
    """

    workers: WorkersSection
    seed: int
    bootstrap: int
    dev_sentences: int | None = None
    cut: bool = False
    loading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: TrainConfig | CascadeConfig | SoupConfig) -> Scoring:
        """Return that of a config: its model computes and decodes as it was trained to."""
        workers = config.workers
        loading: dict[str, Any] = {"threads": workers.threads or max(1, int(workers.cpus_per_worker))}
        if isinstance(config, TrainEncoderConfig | TrainDecoderConfig):
            loading["precision"] = config.training.precision
        if isinstance(config, TrainDecoderConfig) and config.head == "text":
            loading["decoding"] = config.dev.model_dump(include=set(DecodingSection.model_fields))
        return cls(
            workers=workers,
            seed=config.seed,
            bootstrap=config.bootstrap,
            dev_sentences=config.dev_sentences if isinstance(config, TrainDecoderConfig) else None,
            cut=isinstance(config, TrainEncoderConfig) and config.training.long_inputs == "cut",
            loading=loading,
        )
