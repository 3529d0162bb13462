"""One cache for all decode modes: "read these whole sequences, give me the states at these positions".

A mode only says which token sequence it wants read for each row of its batch. The cache finds by
itself what it has already read, forgets what is no longer part of the sequence, and feeds the
rest: rolling back is nobody's business but its own.

Rows accept different numbers of drafted tokens, so their sequences come to lie in different
slots. Feeds are right-padded, positions are given explicitly, and the attention mask has holes
where a row keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from raybio.errors import ModelError

# Slots that hold no row's token are squeezed out when they pass a quarter of the longest row.
_SLACK = 1.25

# With that slack, and a feed no longer than the context, a cache never has three times as many slots.
_WINDOW_SHARE = 3

# So many logits of the whole vocabulary are computed at a time (512 MB in fp32).
_LOGITS_AT_ONCE = 1 << 27


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
    """A causal language model, seen as a decoder (tokens -> hidden states) and a head (-> logits).

    `context` is the longest sequence it can read, in tokens. The model is put in evaluation mode;
    adapters may be merged or not, weights may be of any precision and on any device. When the
    weights have changed, make a new reader: this one remembers what it has read.

    Raises:
        ModelError: its logits are not just the head's, or it is not a causal language model.
    """

    def __init__(self, model: Any) -> None:
        model.eval()
        # An adapter's layers stand inside the model that it wraps.
        causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._head = causal.get_output_embeddings()
        if self._head is None:
            raise ModelError(
                f"{type(causal).__name__} has no language-model head: it cannot write. "
                "Name a causal language model (such as Llama or Mistral) as the base"
            )
        self._decoder = causal.get_decoder()
        self._device = causal.get_input_embeddings().weight.device
        self.context = _context(causal.config)
        self._prefix = Prefix((), ())
        self._at_once = max(1, _LOGITS_AT_ONCE // self._check_head(causal))

    @torch.inference_mode()
    def hidden(self, ids: Tensor, positions: Tensor, mask: Tensor | None, cache: DynamicCache) -> Tensor:
        """Feed `ids` (rows, tokens) at `positions` (the same shape) and return their last hidden states.

        `mask` (rows, cached slots + tokens) is 1 where a slot holds a token of its row; None says
        that all do. The `cache` grows by what is fed. Returns (rows, tokens, hidden size).
        """
        device = self._device
        return self._decoder(
            input_ids=ids.to(device),
            position_ids=positions.to(device),
            attention_mask=None if mask is None else mask.to(device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits (n, vocabulary) of hidden states (n, hidden size)."""
        return self._head(hidden)

    @torch.inference_mode()
    def logits_of(self, hidden: Tensor, choices: Tensor) -> Tensor:
        """Return the logits (n, c), at least in fp32, of the tokens `choices` (n, c) at `hidden` (n, size).

        Only those rows of the head are read where it is a plain layer (not quantized, no adapter).
        """
        if type(self._head) is not nn.Linear:
            parts = zip(hidden.split(self._at_once), choices.split(self._at_once), strict=True)
            return torch.cat([self._picked(states, tokens) for states, tokens in parts])
        weight, bias = self._head.weight, self._head.bias
        dtype = _at_least_fp32(weight.dtype)
        # Forks share their branches: a few different tokens are most of what is asked for.
        tokens, places = choices.unique(return_inverse=True)
        tokens, places = tokens.to(weight.device), places.to(weight.device)
        logits = hidden.to(weight.device, dtype) @ weight[tokens].to(dtype).T
        if bias is not None:
            logits = logits + bias[tokens]
        return logits.gather(1, places)

    @torch.inference_mode()
    def likeliest(self, hidden: Tensor) -> list[tuple[int, float]]:
        """Return, for each hidden state (n, size), the likeliest token of all and its probability."""
        found = [self._likeliest(states) for states in hidden.split(self._at_once)]
        # Token ids are exact in fp32 up to 2^24: one transfer brings both.
        tokens, probabilities = torch.cat(found, dim=1).tolist()
        return list(zip(map(int, tokens), probabilities, strict=True))

    def _picked(self, hidden: Tensor, choices: Tensor) -> Tensor:
        logits = self._head(hidden)
        return logits.gather(1, choices.to(logits.device)).to(_at_least_fp32(logits.dtype))

    def _likeliest(self, hidden: Tensor) -> Tensor:
        logits = self._head(hidden)
        best, token = logits.max(dim=-1)
        probability = (best - logits.to(_at_least_fp32(logits.dtype)).logsumexp(dim=-1)).exp()
        return torch.stack([token.float(), probability.float()])

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
    def _check_head(self, causal: Any) -> int:
        """Return the number of logits the head gives; some architectures scale or cap them: refused."""
        ids = torch.arange(1, 9)[None].to(self._device)
        whole = causal(input_ids=ids, use_cache=False).logits
        ours = self.logits(self._decoder(input_ids=ids, use_cache=False).last_hidden_state)
        tolerance = max(1e-5, 8 * torch.finfo(ours.dtype).eps) * whole.abs().max().item()
        if not torch.allclose(whole.float(), ours.to(whole.device).float(), rtol=0, atol=tolerance):
            raise ModelError(
                f"{type(causal).__name__} scales or caps the logits that its head gives, which the decode "
                "modes do not do. Name a base model that does not (such as Llama, Mistral or Qwen)"
            )
        return whole.shape[-1]


class Rows:
    """A batch of token sequences over one reader, all of which begin with `prefix`.

    `passes` and `tokens_fed` count, for each of the `count` rows it began with, the forward passes
    it took part in and the tokens it was fed (the prefix and padding not counted).
    """

    def __init__(self, reader: Reader, prefix: Prefix, count: int) -> None:
        self._reader = reader
        self._cache: Any = prefix.expanded(count)
        self._width = len(prefix.ids)
        # What each live row has read, and the cache slot that each of those tokens lies in.
        self._tokens = [list(prefix.ids) for _ in range(count)]
        self._slots = [list(range(self._width)) for _ in range(count)]
        self._live = list(range(count))
        self.passes = [0] * count
        self.tokens_fed = [0] * count

    @torch.inference_mode()
    def read(self, sequences: Sequence[list[int]], wanted: Sequence[Sequence[int]]) -> Tensor:
        """Read one whole sequence for each live row; return the hidden states at its `wanted` positions.

        Each row wants at least one. Returns (sum of the numbers wanted, hidden size), in order.

        Raises:
            ModelError: a sequence is longer than the model's context.
        """
        self._check_lengths(sequences)
        kept = [
            min(_common(old, new), *positions)
            for old, new, positions in zip(self._tokens, sequences, wanted, strict=True)
        ]
        self._forget(kept)
        hidden = self._feed([new[n:] for new, n in zip(sequences, kept, strict=True)])
        rows = [row for row, positions in enumerate(wanted) for _ in positions]
        columns = [p - n for positions, n in zip(wanted, kept, strict=True) for p in positions]
        return hidden[torch.tensor(rows).to(hidden.device), torch.tensor(columns).to(hidden.device)]

    @torch.inference_mode()
    def drop(self, rows: Sequence[int]) -> None:
        """Let the live rows at these places leave the batch."""
        if not rows:
            return
        gone = set(rows)
        stay = [row for row in range(len(self._live)) if row not in gone]
        self._tokens = [self._tokens[row] for row in stay]
        self._slots = [self._slots[row] for row in stay]
        self._live = [self._live[row] for row in stay]
        index = torch.tensor(stay, dtype=torch.long)
        self._change(lambda states: states[index.to(states.device)])

    def _check_lengths(self, sequences: Sequence[list[int]]) -> None:
        longest = max(map(len, sequences))
        if longest > self._reader.context:
            raise ModelError(
                f"a sequence of {longest} tokens is longer than the model's context of "
                f"{self._reader.context}. Give it fewer words at a time"
            )

    def _forget(self, kept: Sequence[int]) -> None:
        """Keep the first `kept` tokens of each row, and no more slots than they need."""
        for tokens, slots, n in zip(self._tokens, self._slots, kept, strict=True):
            del tokens[n:], slots[n:]
        longest = max(kept)
        width = max((slots[-1] + 1 for slots in self._slots if slots), default=0)
        if width > _SLACK * longest:
            self._squeeze(longest)
        elif width < self._width:
            self._change(lambda states: states[:, :, :width])
            self._width = width

    def _squeeze(self, width: int) -> None:
        """Move each row's tokens to its first slots; what shorter rows have behind them is masked."""
        order = torch.tensor([slots + [0] * (width - len(slots)) for slots in self._slots])

        def gathered(states: Tensor) -> Tensor:
            _, heads, _, size = states.shape
            return states.gather(2, order.to(states.device)[:, None, :, None].expand(-1, heads, -1, size))

        self._change(gathered)
        self._slots = [list(range(len(slots))) for slots in self._slots]
        self._width = width

    def _change(self, change: Callable[[Tensor], Tensor]) -> None:
        """Apply a change to every layer's keys and values, each (rows, heads, slots, size)."""
        for layer in self._cache.layers:
            layer.keys, layer.values = change(layer.keys), change(layer.values)

    def _feed(self, feeds: Sequence[list[int]]) -> Tensor:
        """Feed each row's new tokens; return their hidden states (rows, longest feed, hidden size)."""
        longest = max(map(len, feeds))
        ids = torch.tensor([feed + [0] * (longest - len(feed)) for feed in feeds])
        starts = torch.tensor([len(tokens) for tokens in self._tokens])
        positions = starts[:, None] + torch.arange(longest)
        for row, feed in enumerate(feeds):
            self._tokens[row] += feed
            self._slots[row] += range(self._width, self._width + len(feed))
            self.passes[self._live[row]] += 1
            self.tokens_fed[self._live[row]] += len(feed)
        self._width += longest
        # Padding stands behind a row's last token: a position past the context must not be asked for.
        return self._reader.hidden(
            ids, positions.clamp(max=self._reader.context - 1), self._mask(), self._cache
        )

    def _mask(self) -> Tensor | None:
        """Return 1 for each slot (rows, slots) that holds a token of its row; None if all do."""
        if all(len(slots) == self._width for slots in self._slots):
            return None
        mask = torch.zeros(len(self._slots), self._width, dtype=torch.long)
        rows = [row for row, slots in enumerate(self._slots) for _ in slots]
        mask[rows, list(chain.from_iterable(self._slots))] = 1
        return mask


def _context(config: Any) -> int:
    """Return how many tokens a sequence may have, for a model with this configuration.

    A sliding window counts slots, holes too: sequences are kept so short that it never slides.
    """
    config = config.get_text_config(decoder=True)
    context = int(getattr(config, "max_position_embeddings", None) or 1 << 20)
    window = getattr(config, "sliding_window", None)
    return min(context, window // _WINDOW_SHARE) if window else context


def _at_least_fp32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common at their beginning."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(i for i in range(length) if one[i] != other[i])
