"""The inner steps of encoder fine-tuning: sentences -> batches -> loss. Torch only, no Ray.

All workers see the same stream in the same order and take their share of each batch, so that
a run on two workers does the arithmetic of a run on one: no row is dropped to make shards equal.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import torch

from raybio.alignment import SubwordEncoder, Subwords, windows

IGNORED = -100
"""The label that torch's cross-entropy passes over."""

_SORTED_BATCHES = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """One window: token ids with special tokens, and a label id (or IGNORED) for each."""

    ids: list[int]
    labels: list[int]


class ExampleMaker:
    """Turns tagged sentences into training windows.

    `subword_labels` "all" gives every subword its word's tag (the study's way, `B-` repeated);
    "first" labels each word's first subword only. Subwords that a window does not own are
    context and carry no label: each subword is learned once.
    """

    def __init__(
        self,
        encoder: SubwordEncoder,
        special: tuple[list[int], list[int]],
        tag_ids: Mapping[str, int],
        *,
        max_tokens: int,
        overlap: int,
        subword_labels: str,
    ) -> None:
        self._encoder = encoder
        self._prefix, self._suffix = special
        self._tag_ids = tag_ids
        self._size = max_tokens - len(self._prefix) - len(self._suffix)
        self._overlap = overlap
        self._all = subword_labels == "all"

    def examples(self, words: Sequence[str], tags: Sequence[str]) -> list[Example]:
        """Return the windows of one sentence."""
        subwords = self._encoder.encode([words])[0]
        labels = self._labels(subwords, tags)
        return [
            Example(
                [*self._prefix, *window.ids, *self._suffix],
                [IGNORED] * (len(self._prefix) + window.own_start - window.start)
                + labels[window.own_start : window.own_end]
                + [IGNORED] * (window.start + len(window.ids) - window.own_end + len(self._suffix)),
            )
            for window in windows(subwords, 0, self._size, self._overlap)
        ]

    def _labels(self, subwords: Subwords, tags: Sequence[str]) -> list[int]:
        begins = subwords.first_of_word()
        return [
            self._tag_ids[tags[word]] if self._all or begin else IGNORED
            for word, begin in zip(subwords.words, begins, strict=True)
        ]


def shuffled(items: Iterable[T], buffer: int, seed: int) -> Iterator[T]:
    """Yield `items` in an order that `seed` decides, shuffling `buffer` of them at a time."""
    rng = random.Random(seed)  # noqa: S311
    stream = iter(items)
    while held := list(islice(stream, buffer)):
        rng.shuffle(held)
        yield from held


def batches(
    examples: Iterable[Example], size: int, seed: int, by_length: bool = True
) -> Iterator[list[Example]]:
    """Yield batches of `size` examples, in an order that `seed` decides.

    With `by_length` a batch holds examples of similar length: hardly any padding. Each batch is
    sorted by length in any case.
    """
    rng = random.Random(seed)  # noqa: S311
    stream = iter(examples)
    while held := list(islice(stream, size * _SORTED_BATCHES)):
        if by_length:
            held.sort(key=_length)
        cut = [sorted(held[i : i + size], key=_length) for i in range(0, len(held), size)]
        rng.shuffle(cut)
        yield from cut


def _length(example: Example) -> int:
    return len(example.ids)


def micro_batches(batch: Sequence[Example], budget: int) -> Iterator[list[Example]]:
    """Cut a batch that is sorted by length so that size x longest stays within `budget` tokens."""
    held: list[Example] = []
    for example in batch:
        if held and (len(held) + 1) * len(example.ids) > budget:
            yield held
            held = []
        held.append(example)
    if held:
        yield held


def collate(examples: Sequence[Example], padding: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Pad examples to the longest: (examples, tokens) tensors of ids, mask and labels."""
    longest = max(len(example.ids) for example in examples)
    ids = [example.ids + [padding] * (longest - len(example.ids)) for example in examples]
    mask = [[1] * len(example.ids) + [0] * (longest - len(example.ids)) for example in examples]
    labels = [example.labels + [IGNORED] * (longest - len(example.labels)) for example in examples]
    return {
        "input_ids": torch.tensor(ids, device=device),
        "attention_mask": torch.tensor(mask, device=device),
        "labels": torch.tensor(labels, device=device),
    }


def summed_loss(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the cross-entropy summed over labelled subwords (a scalar tensor)."""
    logits = model(input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"]).logits
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), tensors["labels"].flatten(), ignore_index=IGNORED, reduction="sum"
    )


def labelled(batch: Iterable[Example]) -> int:
    """Count the labelled subwords of a batch."""
    return sum(label != IGNORED for example in batch for label in example.labels)


def optimizer_for(model: torch.nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov & Hutter, 2019) that decays matrices and spares biases and norms."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    spared = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def schedule_for(
    optimizer: torch.optim.Optimizer, kind: str, steps: int, warmup: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return a rate that rises over `warmup` steps, then falls to 0 at `steps` (or stays)."""

    def rate(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if kind == "constant":
            return 1.0
        return max(0.0, (steps - step) / max(1, steps - warmup))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
