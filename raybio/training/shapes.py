"""Shapes of pretrained models: counted without weights, and for the study's six without a network.

A model on torch's meta device has shapes and takes no memory. What a model's `config.json` says of its
shape is a fact; those of the study's six models are written down here, so that a study can be planned
where the hub is out of reach. BiomedBERT's vocabulary is taken to be of BERT's size, which was not
looked up: a vocabulary a tenth smaller would be 1 % fewer parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    BertConfig,
    DebertaV2Config,
    LlamaConfig,
    MistralConfig,
)

from raybio.errors import ModelError, first_line
from raybio.model_sources import base_folder, hub_answers
from raybio.taggers.hugging_face import complete_classifiers, read_config

_LARGE: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 512,
}
_SEVEN_BILLION: dict[str, Any] = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
}
_DEBERTA_V3: dict[str, Any] = {
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}

KNOWN: Mapping[str, Any] = {
    "google-bert/bert-large-uncased": BertConfig(vocab_size=30522, **_LARGE),
    "google-bert/bert-large-cased": BertConfig(vocab_size=28996, **_LARGE),
    "microsoft/BiomedNLP-BiomedBERT-large-uncased-abstract": BertConfig(vocab_size=30522, **_LARGE),
    "microsoft/deberta-v3-large": DebertaV2Config(vocab_size=128100, **_DEBERTA_V3, **_LARGE),
    "mistralai/Mistral-7B-Instruct-v0.3": MistralConfig(
        vocab_size=32768,
        max_position_embeddings=32768,
        architectures=["MistralForCausalLM"],
        **_SEVEN_BILLION,
    ),
    "meta-llama/Llama-3.1-8B-Instruct": LlamaConfig(
        vocab_size=128256,
        max_position_embeddings=131072,
        architectures=["LlamaForCausalLM"],
        **_SEVEN_BILLION,
    ),
}
"""The shapes of the study's models by their hub ids."""


def source_of(model: str, allow_pickle: bool = False) -> Path:
    """Return where small files are read from: a folder here, or a hub id, whose weights stay there."""
    hub = not model.startswith("bundled:") and not Path(model).expanduser().is_dir()
    return Path(model) if hub else base_folder(model, allow_pickle=allow_pickle)


def read_architecture(source: Path) -> Any:
    """Return a model's Hugging Face config.

    Raises:
        ModelError: there is none that can be read.
    """
    if source.is_dir():
        return read_config(source)
    cached = not hub_answers()  # then its cache is asked at once: the client would try for long
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=cached, trust_remote_code=False)
    except (OSError, ValueError) as error:
        problem = "no folder here, and the Hugging Face hub does not answer" if cached else first_line(error)
        raise ModelError(
            f"{source} is no model that can be read: {problem}. Name a folder or a hub id"
        ) from error
    complete_classifiers(config)
    return config


def shape_of(model: str, allow_pickle: bool = False) -> Any:
    """Return a model's Hugging Face config: one that is written down here, else the one at its source.

    Raises:
        ModelError: there is none that can be read.
    """
    return KNOWN.get(model) or read_architecture(source_of(model, allow_pickle))


def classifier_parameters(architecture: Any) -> int:
    """Count the parameters of an encoder under a token classifier, without the classifier itself."""
    with torch.device("meta"):
        model = AutoModelForTokenClassification.from_config(architecture)
    return sum(p.numel() for name, p in model.named_parameters() if not name.startswith("classifier."))
