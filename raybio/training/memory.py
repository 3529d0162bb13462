"""What a fine-tuning run holds in each worker's memory, estimated from shapes alone.

Bytes are computed, not measured. Frozen weights: Dettmers et al. (2023), QLoRA. Optimizer states
and their sharing: Rajbhandari et al. (2020), ZeRO. Activations are those that a decoder layer of
Llama's kind keeps for the backward pass, with memory-efficient attention.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from raybio.config import LoraSection
from raybio.training.recipes import AdapterRecipe

_FP32 = 4
_QUANTIZED_BLOCK = 64  # weights that share one scale
_SCALE_BLOCK = 256  # scales that share one scale of their own, with double quantization
_OPTIMIZER_BLOCK = 256  # states of the 8-bit optimizer that share one scale
# Of a worker on a CPU: 0.31 GiB, measured, once torch, transformers and Ray are imported; the rest is Ray's.
_LIBRARIES = 3 * 2**27


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of parameters: `learning` ones, and frozen ones that may be quantized or not."""

    learning: int
    quantizable: int
    kept: int

    @property
    def base(self) -> int:
        """The parameters of the base model."""
        return self.quantizable + self.kept


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in each worker (on a GPU, of its memory), by what they hold.

    `step` is what an optimizer step takes beyond the activations and logits, which are gone by then.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    step: int = 0
    libraries: int = 0

    @property
    def total(self) -> int:
        """All of it; what fragmentation takes, and a GPU's driver, comes on top."""
        return sum(self.parts().values())

    def parts(self) -> dict[str, int]:
        """Return each part that there is, by name."""
        return {name: size for name, size in asdict(self).items() if size}


def memory(
    recipe: AdapterRecipe,
    model: Any,
    sizes: Sizes,
    number_bytes: int,
    *,
    workers: int = 1,
    tokens: int | None = None,
    gpu: bool = True,
) -> Memory:
    """Return the memory of a run of an LLM.

    `model` is the model's Hugging Face config, `number_bytes` the size of a number in the
    computation, `workers` how many share the states, `tokens` the most that a forward pass reads where that
    is known.
    """
    spread = recipe.deepspeed.zero_stage == 3
    adapter = _FP32 * sizes.learning
    states = (
        2 * (1 + _FP32 / _OPTIMIZER_BLOCK if recipe.takes_paged(gpu) else _FP32) + _FP32
    )  # two moments, one fp32 copy
    tokens = tokens or recipe.training.max_batch_tokens
    activations = tokens * _kept_per_token(recipe, model) * number_bytes
    outputs = model.vocab_size if recipe.head == "text" else 0  # a tag head's are too few to count
    # In the computation's format, as fp32 for the loss, and the gradient of that.
    logits = tokens * outputs * (number_bytes + 2 * _FP32)
    gradients = adapter // workers
    return Memory(
        weights=_frozen(recipe, sizes, number_bytes) // (workers if spread else 1),
        adapter=adapter // (workers if spread else 1),
        gradients=gradients,
        optimizer=0 if recipe.deepspeed.offload == "cpu" else round(states * sizes.learning / workers),
        activations=activations,
        logits=logits,
        step=max(0, gradients - activations - logits),  # DeepSpeed's copy of all gradients, in one piece
        libraries=0 if gpu else _LIBRARIES,
    )


def encoder_memory(parameters: int, activations: int, *, averaged: bool, workers: int, gpu: bool) -> Memory:
    """Return the memory of a run of an encoder, whose weights are fp32 and all learn by AdamW.

    `activations` are the bytes that a forward pass keeps for the backward pass, `averaged` says whether a
    running average of the weights is held.
    """
    weights = _FP32 * parameters
    return Memory(
        weights=weights * (2 if averaged else 1),
        adapter=0,
        gradients=weights * (2 if workers > 1 else 1),  # with those that workers exchange
        optimizer=2 * weights,
        activations=activations,
        logits=0,
        libraries=0 if gpu else _LIBRARIES,
    )


def _frozen(recipe: AdapterRecipe, sizes: Sizes, number_bytes: int) -> int:
    """Return the bytes of the base model's weights, scales of quantized ones included."""
    quantization = recipe.quantization
    if quantization.bits != 4:
        return sizes.base * quantization.bits // 8
    scales = sizes.quantizable / _QUANTIZED_BLOCK
    scale_bytes = 1 + _FP32 / _SCALE_BLOCK if quantization.double else _FP32
    return round(sizes.quantizable / 2 + scales * scale_bytes) + sizes.kept * number_bytes


def _kept_per_token(recipe: AdapterRecipe, model: Any) -> int:
    """Return how many numbers of each token are kept until the backward pass."""
    layers: int = model.num_hidden_layers
    if recipe.training.gradient_checkpointing:  # the input of each layer, and one layer at a time
        return layers * model.hidden_size + _kept_per_layer(recipe.lora, model)
    return layers * _kept_per_layer(recipe.lora, model)


def _kept_per_layer(lora: LoraSection, model: Any) -> int:
    """Return how many numbers of each token one layer keeps.

    Two residuals and two norms before and after (4 h), queries, attention's output and its
    projection (3 h), keys and values, and the gate, its activation, the up projection and their
    product (4 f); what LoRA adds is each target's input after dropout and its inner states.
    """
    hidden: int = model.hidden_size
    inner: int = model.intermediate_size
    heads: int = model.num_attention_heads
    keys = hidden * (getattr(model, "num_key_value_heads", None) or heads) // heads
    in_layers = [target for target in lora.target_modules if target != "lm_head"]
    inputs = [inner if target == "down_proj" else hidden for target in in_layers]
    dropped = sum(inputs) if lora.dropout else 0
    return 7 * hidden + 2 * keys + 4 * inner + dropped + lora.r * len(inputs)
