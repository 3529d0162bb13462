"""Which cached tokens each new token attends to, where a model's own masks would be wrong.

transformers counts a sliding window in cache slots. Where a row has holes, two of its tokens lie farther
apart in slots than in the text, and the window would close too early. So masks are made here from the
tokens' positions; without holes, or while no window is full, the model's own are right and faster.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

EMPTY = -1
"""Stands for a position where a cache slot holds no token of its row."""

_SLIDING, _CHUNKED, _FULL = "sliding_attention", "chunked_attention", "full_attention"


class Attention:
    """How the layers of a model with this Hugging Face config (of its text part) attend."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self._window = getattr(config, "sliding_window", None)
        self._chunk = getattr(config, "attention_chunk_size", None)
        # Where layers differ in kind they take a mask for each kind by name.
        self._kinds = set(getattr(config, "layer_types", None) or ())
        self._narrowest = min(filter(None, (self._window, self._chunk)), default=None)

    def mask(self, held: Tensor | None, positions: Tensor, dtype: torch.dtype) -> Any:
        """Return the mask to give the model, for new tokens at `positions` (rows, new).

        `held` (rows, slots, the new tokens' included) has each slot's position in its row, or EMPTY; None
        says that slot and position are the same everywhere: then the model needs no mask. It is 1 where a
        slot is held (rows, slots) while no window is full; else True (or 0 in `dtype`, for attention that
        adds its mask) where a token sees a slot (rows, 1, new, slots), and that by kind of layer where
        kinds differ.
        """
        if held is None:
            return None
        if self._narrowest is None or held.shape[1] <= self._narrowest:
            return (held != EMPTY).long()
        slots, new = held[:, None, :], positions[:, :, None]
        seen = (slots != EMPTY) & (slots <= new)
        # Padding sees itself: what sees nothing becomes NaN, and 0 times that stays so.
        count = positions.shape[1]
        itself = torch.eye(count, dtype=torch.bool, device=held.device)
        itself = torch.nn.functional.pad(itself, (held.shape[1] - count, 0))
        masks = {_FULL: seen | itself}
        if self._window:
            masks[_SLIDING] = seen & (new - slots < self._window) | itself
        if self._chunk:
            masks[_CHUNKED] = seen & (new // self._chunk == slots // self._chunk) | itself
        if self._kinds:
            return {kind: self._formed(mask, dtype) for kind, mask in masks.items()}
        return self._formed(masks[_SLIDING if self._window else _CHUNKED], dtype)

    def _formed(self, seen: Tensor, dtype: torch.dtype) -> Tensor:
        if self._config._attn_implementation == "sdpa":
            return seen[:, None]
        return torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)[:, None]
