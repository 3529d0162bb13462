"""Why an LLM cannot be fine-tuned as a config says: known from its architecture, before any weights are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

from raybio.errors import ModelError, first_line
from raybio.taggers.both_ways import check_attention
from raybio.taggers.decoding.readable import check_readable
from raybio.taggers.language_model import check_writer
from raybio.taggers.twin import twin
from raybio.training.adapter import add_adapter
from raybio.training.adapter_shapes import LINEAR, model_shapes, number_bytes
from raybio.training.recipes import AdapterRecipe

_PACKAGES = ("deepspeed", "peft", "bitsandbytes")


def refusals(recipe: AdapterRecipe, architecture: Any, gpu: bool) -> list[str]:
    """Return why a model of this Hugging Face config cannot be trained so; what needs no file of its own."""
    return [*_model_faults(recipe, architecture), *_machine_faults(recipe, gpu)]


def missing_packages() -> Iterator[str]:
    """Yield what has to be installed first."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        names = " ".join(missing)
        yield f"training an LLM needs {', '.join(missing)}, not installed here. Run `pip install {names}`"


def _model_faults(recipe: AdapterRecipe, architecture: Any) -> Iterator[str]:
    """Yield why this model cannot be trained as the config says."""
    try:
        check_writer(architecture, recipe.model)
    except ModelError as error:
        yield f"not a causal language model: {error}"
        return
    if getattr(architecture, "quantization_config", None):
        yield (
            "merge into quantized weights: this model is quantized already, and an adapter fits the "
            "full-precision one only. Name that, and let quantization.bits hold it in fewer bits"
        )
    if recipe.head == "text":
        try:
            check_readable(architecture, recipe.model)
        except ModelError as error:
            yield str(error)
            return
    else:
        try:
            check_attention(recipe.attention, architecture)
        except ModelError as error:
            yield str(error)
            return
    longest = getattr(architecture, "max_position_embeddings", None)
    if longest and recipe.training.max_length > longest:
        yield (
            f"length over the model's limit: training.max_length is {recipe.training.max_length}, and this "
            f"model reads {longest} tokens at most. Set training.max_length={longest}"
        )
    targets = list(_target_faults(recipe, architecture))
    yield from targets or _step_faults(recipe, architecture)


def _step_faults(recipe: AdapterRecipe, architecture: Any) -> Iterator[str]:
    """Yield why the adapter, or the tag head, cannot learn on this architecture: one step on its twin."""
    make = AutoModelForCausalLM if recipe.head == "text" else AutoModelForTokenClassification
    thin = replace(recipe, lora=recipe.lora.model_copy(update={"r": 2}))
    ids = torch.arange(1, 9)[None]
    try:
        learner = add_adapter(twin(make, architecture), thin, ())
        loss = learner(input_ids=ids, labels=ids % 2).loss
        loss.backward()
    except ModelError as error:
        yield str(error)
        return
    except Exception as error:  # each architecture fails in its own way
        problem = first_line(error)
        yield (
            f"a small {architecture.model_type} model cannot be trained so ({type(error).__name__}: "
            f"{problem}). Name a model of another architecture (such as Llama, Mistral or Qwen)"
        )
        return
    if not torch.isfinite(loss):
        yield f"a small {architecture.model_type} model has no loss that can be learned from: {loss.item()}"


def _target_faults(recipe: AdapterRecipe, architecture: Any) -> Iterator[str]:
    """Yield what is wrong with the layers to adapt."""
    causal = replace(recipe, head="text")
    names = [
        name
        for name, module in model_shapes(causal, architecture, ()).named_modules()
        if isinstance(module, LINEAR)
    ]
    lacking = [t for t in recipe.lora.target_modules if not any(n == t or n.endswith(f".{t}") for n in names)]
    if lacking:
        has = ", ".join(sorted({name.rpartition(".")[2] for name in names}))
        yield f"targets that the model lacks: lora.target_modules names {', '.join(lacking)}. It has {has}"
    if recipe.wording.tag_tokens and "lm_head" in recipe.lora.target_modules:
        yield (
            "tag tokens with an adapted head: prompt.tag_tokens trains the head's new rows themselves. "
            "Remove lm_head from lora.target_modules"
        )
    if recipe.wording.tag_tokens and recipe.deepspeed.zero_stage == 3:
        yield "tag tokens with ZeRO-3: it spreads the rows that are to be trained. Set deepspeed.zero_stage=2"


def _machine_faults(recipe: AdapterRecipe, gpu: bool) -> Iterator[str]:
    """Yield what does not go together on the machine at hand; the config alone may leave it open."""
    if recipe.takes_paged(gpu) and not gpu:
        yield "paged optimizer on CPU: paged-adamw-8bit needs a GPU. Set training.optimizer=adamw"
    held = recipe.quantization
    computes = {2: "bfloat16", 4: "float32"}[number_bytes(recipe, gpu)]
    if recipe.deepspeed.zero_stage == 3 and held.bits == 4 and held.storage not in ("auto", computes):
        yield (
            f"ZeRO-3 with mismatched quant storage: 4-bit weights are packed as {held.storage}, and computed "
            f"with as {computes} here. Set quantization.storage=auto"
        )
