"""What an adapter trains of an LLM, and what it holds frozen, from the model's Hugging Face config alone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification
from transformers.pytorch_utils import Conv1D

from raybio.taggers.hugging_face import tag_options
from raybio.training.adapter import add_adapter
from raybio.training.memory import Sizes
from raybio.training.recipes import AdapterRecipe

LINEAR = (torch.nn.Linear, Conv1D)
"""The layers that adapters take: GPT-2's are of the second kind."""


def count_parameters(
    recipe: AdapterRecipe, architecture: Any, labels: Sequence[str], new_tokens: Sequence[int] = ()
) -> Sizes:
    """Count what a run trains and what it holds frozen, from a model's Hugging Face config alone."""
    model = model_shapes(recipe, architecture, labels)
    if new_tokens and max(new_tokens) >= model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(max(new_tokens) + 1, mean_resizing=False)
    linear = {
        id(module.weight): module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, LINEAR) and not name.endswith(("lm_head", "score"))
    }
    base = sum(parameter.numel() for parameter in model.parameters())
    with torch.device("meta"):
        adapted = add_adapter(model, recipe, new_tokens)
    learning = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    quantizable = sum(linear.values())
    return Sizes(learning, quantizable, base - quantizable)


def model_shapes(recipe: AdapterRecipe, architecture: Any, labels: Sequence[str]) -> Any:
    """Return the model without weights."""
    with torch.device("meta"):
        if recipe.head == "text":
            return AutoModelForCausalLM.from_config(architecture)
        headed = deepcopy(architecture)
        headed.num_labels = tag_options(labels)["num_labels"]
        return AutoModelForTokenClassification.from_config(headed)


def number_bytes(recipe: AdapterRecipe, gpu: bool) -> int:
    """Return the bytes of a number in the computation."""
    half = recipe.training.precision == "bf16" or (recipe.training.precision == "auto" and gpu)
    return 2 if half else 4
