"""LoRA adapters on a frozen base model, which 4 bits may hold: made, saved, read back, merged."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from transformers import AutoModelForCausalLM

from raybio.taggers.both_ways import blocks_of, read_both_ways
from raybio.taggers.hugging_face import read_model
from raybio.taggers.language_model import FourBit, attach_adapter, describe_base, quantization
from raybio.training.classifier import read_classifier
from raybio.training.recipes import AdapterRecipe

CLASSIFIER = "score"
"""What transformers calls the token classifier on an LLM."""

_ADAPTER = "default"


def adapted_model(
    recipe: AdapterRecipe,
    base: Path,
    labels: Sequence[str],
    new_tokens: Mapping[int, Sequence[int]],
    device: torch.device,
    dtype: torch.dtype,
) -> Any:
    """Return the base model on `device`, frozen, with a fresh adapter that changes nothing yet.

    `head: text` keeps the causal model; `head: tags` puts a new token classifier in its head's
    place. `new_tokens` maps ids that the vocabulary does not have to those they stand for, whose
    mean they begin as. `dtype` is that of the computation, and of weights unless they are
    quantized; what is trained is fp32.
    """
    held = recipe.quantization
    options: dict[str, Any] = {"dtype": dtype, "device_map": {"": device}}
    if held.bits == 4:
        storage = None if held.storage == "auto" else getattr(torch, held.storage)
        options["quantization_config"] = quantization(dtype, held.type, held.double, storage)
    else:
        options["dtype"] = {16: torch.bfloat16, 32: torch.float32}[held.bits]
    if recipe.head == "text":
        model: Any = read_model(AutoModelForCausalLM, base, **options)
    else:
        model = read_classifier(base, labels, **options)
        read_both_ways(model, blocks_of(recipe.attention, model.config))
    _keep_gradients(model)
    grow_vocabulary(model, new_tokens)
    if recipe.training.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return add_adapter(model, recipe, sorted(new_tokens))


def rounding(recipe: AdapterRecipe, dtype: torch.dtype) -> FourBit | None:
    """Return how `adapted_model` rounds the base's weights, or None where it does not."""
    held = recipe.quantization
    if held.bits != 4:
        return None
    return FourBit(held.type, held.double, str(dtype).removeprefix("torch."))


def add_adapter(model: Any, recipe: AdapterRecipe, new_tokens: Sequence[int]) -> PeftModel:
    """Freeze a model and add LoRA to its targets; rows of `new_tokens` and a new head learn whole."""
    lora, text = recipe.lora, recipe.head == "text"
    peft = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=[target for target in lora.target_modules if text or target != "lm_head"],
        modules_to_save=None if text else [CLASSIFIER],
        trainable_token_indices=_embeddings(model, new_tokens) if new_tokens else None,
        task_type="CAUSAL_LM" if text else "TOKEN_CLS",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on tied heads, which `merge_adapter` minds
        adapted = get_peft_model(model, peft)
    # What the adapter's own file names: a hub id means something elsewhere, a cache folder does not.
    adapted.peft_config[_ADAPTER].base_model_name_or_path = recipe.model
    return adapted


@torch.no_grad()
def grow_vocabulary(model: Any, new_tokens: Mapping[int, Sequence[int]]) -> None:
    """Make room for new tokens; each begins as the mean of those it stands for, in and out."""
    if not new_tokens:
        return
    size = max(new_tokens) + 1
    if size > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(size, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        for token, pieces in new_tokens.items():
            layer.weight[token] = layer.weight[list(pieces)].mean(dim=0)


def save_adapter(model: PeftModel, folder: Path, rounded: FourBit | None) -> None:
    """Write the adapter in PEFT's format, and of the base model only which it is and how it was rounded."""
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink()  # an empty form
    describe_base(folder, Path(model.config.name_or_path), rounded)


def load_adapter(model: PeftModel, folder: Path) -> None:
    """Read the weights that `save_adapter` wrote into `model`, in place."""
    set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))


def merge_adapter(model: Any, adapter: Path) -> Any:
    """Return a base model in full precision with an adapter merged into it, a plain model again."""
    return attach_adapter(model, adapter, model.config.name_or_path).merge_and_unload()


def _embeddings(model: Any, new_tokens: Sequence[int]) -> dict[str, list[int]]:
    """Return which rows of which layers hold new tokens; a head that is tied to its embedding follows it."""
    layers = [model.get_input_embeddings()]
    if not model.config.tie_word_embeddings:
        layers.append(model.get_output_embeddings())
    named = {id(module): name for name, module in model.named_modules()}
    return {named[id(layer)]: list(new_tokens) for layer in layers}


def _keep_gradients(model: Any) -> None:
    """Keep 4-bit layers as they were loaded.

    On a CPU with AVX512-BF16, bitsandbytes repacks them when they are first used for evaluation:
    scales are rounded to bf16, and training that continues afterwards passes no gradient through
    them, without a word.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
