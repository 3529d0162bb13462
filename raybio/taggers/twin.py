"""A tiny model of another model's kind: the same architecture with small layers and random weights.

What an architecture does, and what a run on it would refuse, shows on its twin within a moment, without
the weights and in no memory to speak of.
"""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import Any

import torch

from raybio.errors import ModelError, first_line

_VOCABULARY = 64
_LAYERS = 2
_WINDOW = 8
"""How far back a twin's windowed layers see, in tokens: so little that a short sequence passes it."""

_WEIGHTS = 0.3
"""The standard deviation of a twin's weights: so large that each token changes those behind it."""

_SMALL = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "head_dim": 16,
    "rotary_dim": 8,
    "max_position_embeddings": 256,
    # Mixtures of experts.
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    # DeepSeek's latent attention.
    "q_lora_rank": 32,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    # Gemma's scale of the query, by its usual head size.
    "query_pre_attn_scalar": 16,
    # MPT and OPT.
    "max_seq_len": 256,
    "ffn_dim": 64,
    "word_embed_proj_dim": 64,
}


def tiny_config(architecture: Any) -> Any:
    """Return a copy of a Hugging Face config with a twin's sizes."""
    config = deepcopy(architecture.get_text_config(decoder=True))
    heads = getattr(config, "num_attention_heads", None)
    shared = getattr(config, "num_key_value_heads", None)
    kinds = list(dict.fromkeys(getattr(config, "layer_types", None) or []))
    sizes = {name: size for name, size in _SMALL.items() if getattr(config, name, None) is not None}
    if shared is not None:
        sizes["num_key_value_heads"] = 2 if heads and shared < heads else 4
    if getattr(config, "qk_rope_head_dim", None):
        sizes["head_dim"] = sizes["qk_rope_head_dim"]  # rotary positions are as wide as that
    for name, size in sizes.items():
        with suppress(AttributeError):  # derived from the others
            setattr(config, name, size)
    if kinds:
        # One layer of each kind, and no fewer than two.
        with suppress(AttributeError):
            config.layer_types = (kinds * _LAYERS)[: max(_LAYERS, len(kinds))]
    config.num_hidden_layers = len(kinds) if len(kinds) > _LAYERS else _LAYERS
    for name in ("sliding_window", "attention_chunk_size"):
        if getattr(config, name, None):
            setattr(config, name, _WINDOW)
    if getattr(config, "rope_parameters", None):
        config.rope_parameters = _plain_rope(config.rope_parameters)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if getattr(config, name, None) is not None:
            setattr(config, name, 0)
    config.quantization_config = None
    config.dtype = torch.float32
    return config


def _plain_rope(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return rotary positions without their scaling, whose factors may be as many as a head is wide."""
    if all(isinstance(value, dict) for value in parameters.values()):
        return {kind: _plain_rope(below) for kind, below in parameters.items()}
    kept = ("rope_theta", "partial_rotary_factor")
    return {"rope_type": "default", **{key: parameters[key] for key in kept if key in parameters}}


def twin(make: Any, architecture: Any) -> Any:
    """Return the twin, in fp32 on the CPU, that `make` (an AutoModel class) builds of a Hugging Face config.

    Raises:
        ModelError: transformers cannot build a small model of this kind.
    """
    config = tiny_config(architecture)
    try:
        model = make.from_config(config, dtype=torch.float32).eval()
    except Exception as error:  # architectures check their sizes each in its own way
        problem = first_line(error)
        if "Unrecognized configuration class" in problem:
            kind = make.__name__.removeprefix("AutoModelFor")
            problem = f"transformers has no {kind} model of this architecture"
        raise ModelError(
            f"no small {config.model_type} model can be built to try whether raybio can use one: "
            f"{problem} ({type(error).__name__}). Name a model of another architecture (such as Llama, "
            "Mistral or Qwen)"
        ) from error
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, _WEIGHTS, generator=generator)
    return model
