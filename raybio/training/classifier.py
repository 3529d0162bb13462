"""A base with a head for the labels to be learned: its own where it has learned these, else a new one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification

from raybio.iob2 import tag_set
from raybio.taggers.hugging_face import read_config, read_model, tag_options


def other_tags(base: Path, labels: Sequence[str]) -> list[str]:
    """Return the tags of a token classifier where they are not those of `labels`; none of any other model."""
    config = read_config(base)
    tags = list(config.id2label.values())
    is_classifier = any("TokenClassification" in name for name in config.architectures or ())
    return tags if is_classifier and tags != tag_set(labels) else []


def new_head_line(base: Path, labels: Sequence[str]) -> str | None:
    """Return what to say of a head that is new though the base has one; None where it keeps its own."""
    others = other_tags(base, labels)
    if not others:
        return None
    return f"the model has other tags ({', '.join(others)}): its head is new, and random at first"


def read_classifier(base: Path, labels: Sequence[str], *, config: Any = None, **options: Any) -> Any:
    """Return the token classifier for `labels` on a base; `config` is its own where it was changed."""
    headed = config or read_config(base, **tag_options(labels))
    model = read_model(AutoModelForTokenClassification, base, config=headed, new_head=True, **options)
    if other_tags(base, labels):
        _draw_head(model)
    return model


def _draw_head(model: Any) -> None:
    """Draw the weights of a classifier's head again: those that it has are of other labels."""
    for name, module in model.named_children():
        if name != model.base_model_prefix and isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=getattr(model.config, "initializer_range", 0.02))
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
