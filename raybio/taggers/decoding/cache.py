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
from typing import Any

import torch
from torch import Tensor

from raybio.errors import ModelError
from raybio.taggers.decoding.attention import EMPTY
from raybio.taggers.decoding.reader import Prefix, Reader

# Slots that hold no row's token are squeezed out when they pass a quarter of the longest row.
_SLACK = 1.25


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
            ids, positions.clamp(max=self._reader.context - 1), self._held(), self._cache
        )

    def _held(self) -> Tensor | None:
        """Return the position (rows, slots) of the token in each slot, EMPTY where a row has none there.

        None says that each slot holds the token at its own number.
        """
        if all(len(slots) == self._width for slots in self._slots):
            return None
        held = torch.full((len(self._slots), self._width), EMPTY)
        for row, slots in enumerate(self._slots):
            held[row, slots] = torch.arange(len(slots))
        return held


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common at their beginning."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(i for i in range(length) if one[i] != other[i])
