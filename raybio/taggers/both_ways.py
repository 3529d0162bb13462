"""Blocks of an LLM that read both ways: each token sees those after it too, as in an encoder.

A decoder's masks are causal, and a flag in its config that says otherwise is heeded by some architectures
alone. So the mask is exchanged where each block takes it, the same for all: in training, in tagging, and in
what int8 is made of. A block with a sliding window sees as far ahead as it sees back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AutoModelForTokenClassification

from raybio.errors import ModelError
from raybio.taggers.twin import tiny_config, twin

if TYPE_CHECKING:
    from raybio.config.attention import Blocks

_ADVICE = "Leave attention at causal, or name another model (such as Llama, Mistral or Qwen)"
_MASKED = ("sdpa", "eager")
"""Kinds of attention that take a mask of any form; others know the causal one alone."""


def blocks_of(attention: str | Blocks, architecture: Any) -> list[int]:
    """Return the numbers of the blocks that `attention` names in a model with this Hugging Face config.

    Raises:
        ModelError: it has no such block.
    """
    from raybio.config.attention import blocks_both_ways  # here: tagging needs no configs, which take long

    count = architecture.get_text_config(decoder=True).num_hidden_layers
    try:
        return blocks_both_ways(attention, count)
    except ValueError as error:
        raise ModelError(f"attention: {error}") from error


def read_both_ways(model: Any, blocks: Sequence[int]) -> None:
    """Let those `blocks`, numbered from 0, of a token classifier on an LLM read both ways, in place.

    Raises:
        ModelError: it has no such block, or its blocks cannot be made to.
    """
    if not blocks:
        return
    config, layers = model.config, getattr(model.base_model, "layers", ())
    kind = type(model).__name__
    if max(blocks) >= len(layers):
        raise ModelError(f"a {kind} has no block {max(blocks)} that could read both ways. {_ADVICE}")
    if config._attn_implementation not in _MASKED:
        raise ModelError(
            f"{config._attn_implementation} attention is causal alone, and blocks of this {kind} are to read "
            "both ways. Set attn_implementation to sdpa"
        )
    for number in blocks:
        look = partial(_both_ways, _window(config, number))
        layers[number].register_forward_pre_hook(look, with_kwargs=True)


def _window(config: Any, number: int) -> int | None:
    """Return how many tokens a block sees back, itself included; None = all.

    Raises:
        ModelError: it attends in another way than by windows.
    """
    kinds = getattr(config, "layer_types", None)
    window: int | None = getattr(config, "sliding_window", None)
    if kinds is None:
        return window
    if kinds[number] == "full_attention":
        return None
    if kinds[number] == "sliding_attention":
        return window
    raise ModelError(f"block {number} has {kinds[number]}, which cannot read both ways. {_ADVICE}")


def _both_ways(
    window: int | None, _block: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Exchange a block's mask: `args` begin with its hidden states (rows, tokens, width)."""
    given: Tensor | None = kwargs["attention_mask"]
    count = args[0].shape[1]
    places = torch.arange(count, device=args[0].device)
    apart = (places[:, None] - places[None, :]).abs()
    seen, itself = (apart < window if window else apart >= 0)[None, None], apart == 0
    if given is not None:
        # Every token sees itself, in a window too, unless it is padding.
        seen_by_itself = (given if given.dtype == torch.bool else given == 0) & itself
        seen = seen & (seen_by_itself.long().sum(dim=-2, keepdim=True) > 0)
    # What sees nothing becomes NaN, and 0 times that stays so.
    seen = seen | itself
    if given is not None and given.dtype != torch.bool:
        lowest = torch.finfo(given.dtype).min
        seen = torch.zeros(seen.shape, dtype=given.dtype, device=seen.device).masked_fill(~seen, lowest)
    return args, {**kwargs, "attention_mask": seen}


def check_attention(attention: str | Blocks, architecture: Any) -> None:
    """Refuse an architecture, by its Hugging Face config, whose blocks cannot read as `attention` says.

    Tried on its twin: the first token's tags must change with the last token where a block reads both
    ways, and there alone; and padding must change nothing.

    Raises:
        ModelError: names what failed, and what to do.
    """
    if not blocks_of(attention, architecture):
        return
    text = torch.arange(1, 7)[None]
    other = text.clone()
    other[0, -1] += 8
    padded, mask = torch.nn.functional.pad(text, (0, 3)), torch.tensor([[1] * 6 + [0] * 3])
    small = tiny_config(architecture)
    for blocks in ([], *([number] for number in range(small.num_hidden_layers))):
        model = twin(AutoModelForTokenClassification, architecture)
        read_both_ways(model, blocks)
        with torch.inference_mode():
            logits, changed = (model(input_ids=ids).logits[0] for ids in (text, other))
            beside = model(input_ids=padded, attention_mask=mask).logits[0, : text.shape[1]]
        sees_ahead = not torch.allclose(logits[0], changed[0], atol=1e-5)
        if sees_ahead != bool(blocks) or not torch.allclose(logits, beside, atol=1e-3):
            raise ModelError(
                f"blocks of a {small.model_type} model cannot be made to read both ways. {_ADVICE}"
            )
