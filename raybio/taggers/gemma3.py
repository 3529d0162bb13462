"""Gemma 3 as a token classifier, which transformers has of other LLMs only."""

from __future__ import annotations

from transformers import AutoModelForTokenClassification
from transformers.modeling_layers import GenericForTokenClassification
from transformers.models.gemma3.configuration_gemma3 import Gemma3TextConfig
from transformers.models.gemma3.modeling_gemma3 import Gemma3PreTrainedModel


class Gemma3TextForTokenClassification(GenericForTokenClassification, Gemma3PreTrainedModel):
    """Gemma 3's text model with a classifier on each token, made as that of Gemma 2."""

    config_class = Gemma3TextConfig
    input_modalities = ("text",)  # type: ignore[assignment]  # the other models of the family see images


def register() -> None:
    """Let transformers' Auto class make it."""
    AutoModelForTokenClassification.register(
        Gemma3TextConfig, Gemma3TextForTokenClassification, exist_ok=True
    )
