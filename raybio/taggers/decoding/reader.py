"""A causal language model as the decode modes see it: tokens -> hidden states -> logits."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from raybio.errors import ModelError
from raybio.taggers.decoding.attention import Attention
from raybio.taggers.decoding.head import Head

_UNBOUNDED = 1 << 20
"""The context of a model that names no limit."""


@dataclass(frozen=True)
class Prefix:
    """Tokens that all sequences begin with, read once: `layers` holds (keys, values), one row each."""

    ids: tuple[int, ...]
    layers: tuple[tuple[Tensor, Tensor], ...]

    def expanded(self, count: int) -> DynamicCache:
        """Return a cache of `count` rows which all have read the prefix."""
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self.layers):
            cache.update(keys.expand(count, -1, -1, -1), values.expand(count, -1, -1, -1), layer)
        return cache


class Reader:
    """A causal language model, seen as a decoder (tokens -> hidden states) and a `head` (-> logits).

    `context` is the longest sequence it can read, in tokens. The model is put in evaluation mode;
    adapters may be merged or not, weights may be of any precision and on any device. When the
    weights have changed, make a new reader: this one remembers what it has read.

    Raises:
        ModelError: its logits are not those that its head and its config give, or it is not a causal
            language model.
    """

    def __init__(self, model: Any) -> None:
        model.eval()
        # An adapter's layers stand inside the model that it wraps.
        causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        head = causal.get_output_embeddings()
        if head is None:
            raise ModelError(
                f"{type(causal).__name__} has no language-model head: it cannot write. "
                "Name a causal language model (such as Llama or Mistral) as the base"
            )
        config = causal.config.get_text_config(decoder=True)
        self.head = Head(head, config)
        self.context = int(getattr(config, "max_position_embeddings", None) or _UNBOUNDED)
        decoder = causal.get_decoder()
        self._decoder = causal.model if decoder is causal else decoder  # Llama 4 names its own otherwise
        self._attention = Attention(config)
        self._dtype = causal.get_input_embeddings().weight.dtype
        self._device = causal.get_input_embeddings().weight.device
        # transformers renamed the argument in 5.24.
        named = inspect.signature(self._decoder.forward).parameters
        self._cache_argument = "cache" if "cache" in named else "past_key_values"
        self._prefix = Prefix((), ())
        self._check_head(causal)

    @torch.inference_mode()
    def hidden(self, ids: Tensor, positions: Tensor, held: Tensor | None, cache: DynamicCache) -> Tensor:
        """Feed `ids` (rows, tokens) at `positions` (the same shape) and return their last hidden states.

        `held` (rows, cached slots + tokens) has the position of the token in each slot, or `EMPTY`; None
        says that each slot holds the token at its own number. The `cache` grows by what is fed. Returns
        (rows, tokens, hidden size).
        """
        device = self._device
        positions = positions.to(device)
        return self._decoder(
            input_ids=ids.to(device),
            position_ids=positions,
            attention_mask=self._attention.mask(
                None if held is None else held.to(device), positions, self._dtype
            ),
            use_cache=True,
            **{self._cache_argument: cache},
        ).last_hidden_state

    @torch.inference_mode()
    def prefix(self, ids: Sequence[int]) -> Prefix:
        """Return what sequences that begin with `ids` share; the latest is kept, and not read again."""
        if not ids:
            return Prefix((), ())
        if tuple(ids) != self._prefix.ids:
            tokens = torch.tensor([list(ids)])
            cache = DynamicCache()
            self.hidden(tokens, torch.arange(len(ids))[None], None, cache)
            layers = tuple((keys, values) for keys, values, *_ in cache)
            self._prefix = Prefix(tuple(ids), layers)
        return self._prefix

    @torch.inference_mode()
    def _check_head(self, causal: Any) -> None:
        """Refuse an architecture whose logits are not what its head and its config say."""
        ids = torch.arange(1, 9)[None].to(self._device)
        whole = causal(input_ids=ids, use_cache=False).logits
        ours = self.head.logits(self._decoder(input_ids=ids, use_cache=False).last_hidden_state)
        tolerance = max(1e-5, 8 * torch.finfo(ours.dtype).eps) * whole.abs().max().item()
        if not torch.allclose(whole.float(), ours.to(whole.device).float(), rtol=0, atol=tolerance):
            raise ModelError(
                f"{type(causal).__name__} makes its logits in a way that the decode modes do not know. "
                "Name a base model of another architecture (such as Llama, Mistral, Qwen or Gemma)"
            )
