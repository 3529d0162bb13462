"""The options of `job: train-decoder`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from raybio.config.attention import HeadAttention
from raybio.config.decoding import DecodingSection
from raybio.config.faults import FaultsError, KeyPath, shown
from raybio.config.section import HoldsAWindow, Section, Text
from raybio.config.training import BatchSize, LearningRate, LearningSection, MaxBatchTokens, TrainConfig
from raybio.config.union import trains_on_dev

# For each training.precision, the quantization.storage that ZeRO-3 can share.
_SHAREABLE = {
    "auto": ("auto", "bfloat16", "float32"),
    "fp32": ("auto", "float32"),
    "bf16": ("auto", "bfloat16"),
}


def _in_one_piece(alias: str) -> str:
    if ":" in alias or alias.split() != [alias]:
        raise ValueError(f"found {alias!r}; allowed: text without colons and white space")
    return alias


class PromptSection(Section):
    """The wording that the adapter is trained on, and that tagging with it repeats."""

    aliases: dict[str, Annotated[str, AfterValidator(_in_one_piece)]] = Field(
        default={}, description="label -> short name that stands for it in prompts and completions"
    )
    tag_tokens: bool = Field(
        default=False, description="make each tag, with its colon and newline, one new token of the model"
    )
    leading_space: bool = Field(
        default=False,
        description="begin each line with a space, so that words have the tokens they have in the prompt",
    )
    label_order: Literal["sorted", "random"] = Field(
        default="sorted",
        description="order in which the instruction names the labels; random = drawn by the seed for "
        "training and dev, and sorted afterwards, as the study's changed from process to process",
    )
    chat_template: bool = Field(
        default=False, description="put the prompt through the chat template of the model's tokenizer"
    )

    @field_validator("aliases")
    @classmethod
    def _aliases_differ(cls, aliases: dict[str, str]) -> dict[str, str]:
        label_of: dict[str, str] = {}
        for label, alias in aliases.items():
            if (other := label_of.setdefault(alias, label)) != label:
                raise FaultsError(
                    [((label,), f"found {alias!r}, the alias of {other!r} too; give it its own")]
                )
        return aliases


class QuantizationSection(Section):
    """How the frozen base model is held in memory; the adapter on it is never quantized."""

    bits: Literal[4, 16, 32] = Field(
        default=4, description="bits of each weight of the base model; 4 = quantized"
    )
    type: Literal["nf4", "fp4"] = Field(default="nf4", description="values that 4 bits stand for")
    double: bool = Field(default=True, description="quantize the scales of 4-bit weights too")
    storage: Literal["auto", "float32", "bfloat16", "uint8"] = Field(
        default="auto",
        description="number format that 4-bit weights are packed in; auto = that of training.precision, "
        "which ZeRO-3 needs",
    )


class LoraSection(Section):
    """The adapter: for each target, the product of two thin matrices that are trained."""

    r: int = Field(default=128, ge=1, description="inner size of the adapter's matrices")
    alpha: int = Field(default=256, ge=1, description="the adapter's output is scaled by alpha / r")
    dropout: float = Field(default=0.05, ge=0, lt=1, description="dropout on the adapter's input")
    target_modules: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"),
        min_length=1,
        description="linear layers that are adapted; with head: tags a new head, wholly trained, "
        "stands in for lm_head",
    )


class DecoderTrainingSection(LearningSection):
    """How an LLM is trained, at which lengths, and which epoch is kept."""

    learning_rate: LearningRate = 2e-5
    batch_size: BatchSize = 32
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="number format of the computation; auto = bf16 on a GPU that has it, else fp32",
    )
    max_length: int = Field(default=2048, ge=16, description="longest prompt with its completion, in tokens")
    long_inputs: Literal["reject", "cut"] = Field(
        default="reject",
        description="a longer one in training is rejected and counted, or cut at its end and "
        "counted, as in the study",
    )
    max_batch_tokens: Annotated[MaxBatchTokens, HoldsAWindow] = 8192
    loss_on: Literal["completion", "all", "padded"] = Field(
        default="completion",
        description="tokens that the loss counts: the completion's; all = the prompt's too; padded = also "
        "padding to the longest example of the split, as in the study",
    )
    aggregation_strategy: Literal["mean", "first", "last"] = Field(
        default="mean",
        description="with head: tags, which subwords are labelled with a word's tag and decide it: all of "
        "them, by their mean; the first; or the last, which has read the whole word",
    )
    optimizer: Literal["auto", "adamw", "paged-adamw-8bit"] = Field(
        default="auto", description="auto = paged-adamw-8bit on a GPU, adamw on CPU"
    )
    gradient_checkpointing: bool = Field(
        default=True,
        description="compute activations twice rather than keep them: slower, in far less memory",
    )


class DeepSpeedSection(Section):
    """What DeepSpeed spreads over the workers, and what it keeps out of the GPU."""

    zero_stage: Literal[2, 3] = Field(
        default=2, description="2 = share gradients and optimizer states; 3 = share the weights too"
    )
    offload: Literal["none", "cpu"] = Field(
        default="none", description="cpu = optimizer states stay in the workers' main memory"
    )


class DevSection(DecodingSection):
    """How dev is scored after each epoch: by real decoding."""

    sentences: int | None = Field(
        default=None, ge=1, description="sentences of dev to tag, the same in each epoch; null = all"
    )


class TrainDecoderConfig(TrainConfig):
    """Train an LLM's adapter (QLoRA) on one corpus, choose its best epoch on dev, and score it on test."""

    job: Literal["train-decoder"] = Field(description="which job this file configures")
    model: Text = Field(
        description="LLM to start from: bundled:NAME, a Hugging Face id, a folder or a URL (s3://...)"
    )
    head: Literal["text", "tags"] = Field(
        default="text",
        description="text = the LLM writes a word:TAG line for each word; tags = a token classifier on it",
    )
    attention: HeadAttention = "causal"
    prompt: PromptSection = Field(default=PromptSection(), description="the wording")
    quantization: QuantizationSection = Field(
        default=QuantizationSection(), description="how the base model is held"
    )
    lora: LoraSection = Field(default=LoraSection(), description="the adapter")
    training: DecoderTrainingSection = Field(
        default=DecoderTrainingSection(), description="how the adapter is trained"
    )
    deepspeed: DeepSpeedSection = Field(default=DeepSpeedSection(), description="how DeepSpeed runs it")
    dev: DevSection = Field(default=DevSection(), description="how dev is scored")
    merge: Literal["none", "full-precision"] = Field(
        default="none",
        description="what the run's model is: the adapter, or the base model in full precision "
        "with the adapter merged into it",
    )

    @property
    def dev_sentences(self) -> int | None:
        """How many sentences of dev an epoch is scored on: None = all, 0 = none, since dev is trained on."""
        return 0 if trains_on_dev(self.corpus) else self.dev.sentences

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        of_head = _text_options_without_text if self.head == "tags" else _tag_options_without_tags
        if found := [*of_head(self), *_combinations_that_fail(self)]:
            raise FaultsError(found)
        return self


def _text_options_without_text(config: TrainDecoderConfig) -> Iterator[tuple[KeyPath, str]]:
    if config.prompt != PromptSection():
        yield ("prompt",), "goes with head: text only; remove it"
    if (loss_on := config.training.loss_on) != "completion":
        yield ("training", "loss_on"), f"found {loss_on!r}, which goes with head: text only; remove it"
    if config.training.long_inputs == "cut":
        yield ("training", "long_inputs"), "found 'cut', which goes with head: text only; remove it"
    if config.dev != DevSection(sentences=config.dev.sentences):
        yield ("dev",), "how text is decoded goes with head: text only; keep nothing but sentences"


def _tag_options_without_tags(config: TrainDecoderConfig) -> Iterator[tuple[KeyPath, str]]:
    if config.attention != "causal":
        yield ("attention",), f"found {shown(config.attention)}, which goes with head: tags only; remove it"
    if (decision := config.training.aggregation_strategy) != "mean":
        problem = f"found {decision!r}, which goes with head: tags only; remove it"
        yield ("training", "aggregation_strategy"), problem


def _combinations_that_fail(config: TrainDecoderConfig) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is known to fail on any model; what depends on the model is found by the preflight."""
    quantization, training, deepspeed = config.quantization, config.training, config.deepspeed
    if training.optimizer == "paged-adamw-8bit" and config.workers.accelerator == "cpu":
        yield ("training", "optimizer"), "found 'paged-adamw-8bit', which needs a GPU; use auto or adamw"
    if quantization.bits != 4:
        return
    if deepspeed.offload == "cpu":
        problem = "found 'cpu', which fails with 4-bit weights; use none, or quantization.bits: 16"
        yield ("deepspeed", "offload"), problem
    matching = _SHAREABLE[training.precision]
    if deepspeed.zero_stage == 3 and quantization.storage not in matching:
        yield (
            ("quantization", "storage"),
            f"found {quantization.storage!r}, but ZeRO-3 shares only 4-bit weights that are stored in the "
            f"format of training.precision ({training.precision}); allowed: {', '.join(matching)}",
        )
