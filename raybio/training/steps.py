"""The inner steps that all fine-tuning shares: examples -> batches -> loss. Torch only, no Ray."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any, TypeVar

import torch

IGNORED = -100
"""The label that torch's cross-entropy passes over."""

OUTSIDE = 0
"""The label id of a token outside of entities: `tag_set` begins with it."""

_SORTED_BATCHES = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """What is learned at once: token ids with special tokens, and a label id (or IGNORED) for each.

    Where teachers answer too, `targets` has the share of each label for each token, and `labels` only
    say which tokens are learned. `allowed` says of each label whether a token labelled `OUTSIDE` may have it,
    where that is more than this one: its corpus is silent about the others.
    """

    ids: list[int]
    labels: list[int]
    targets: list[list[float]] | None = None
    allowed: list[bool] | None = None


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


@dataclass(frozen=True, slots=True)
class Passes:
    """An epoch as one worker reads it: optimizer steps, tokens with their padding, and the largest pass.

    That is `rows` examples of `longest` tokens.
    """

    steps: int
    tokens: int
    rows: int
    longest: int


def passes_of(cut: Iterable[Sequence[Example]], budget: int, world: int = 1) -> Passes:
    """Return what the first of `world` workers reads of an epoch's batches, `budget` tokens in a pass."""
    steps, tokens, largest = 0, 0, (0, 0)
    for batch in cut:
        steps += 1
        for part in micro_batches(batch[::world], budget):
            tokens += len(part) * _length(part[-1])
            largest = max(largest, (len(part), _length(part[-1])), key=prod)
    return Passes(steps, tokens, *largest)


def collate(examples: Sequence[Example], padding: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Pad examples to the longest: (examples, tokens) tensors of ids, mask and labels.

    Targets, if examples have them, are a tensor (examples, tokens, labels), and what `OUTSIDE` allows, where
    any example's allows more than itself, one of (examples, labels).
    """
    longest = max(len(example.ids) for example in examples)
    ids = [example.ids + [padding] * (longest - len(example.ids)) for example in examples]
    mask = [[1] * len(example.ids) + [0] * (longest - len(example.ids)) for example in examples]
    labels = [example.labels + [IGNORED] * (longest - len(example.labels)) for example in examples]
    tensors = {
        "input_ids": torch.tensor(ids, device=device),
        "attention_mask": torch.tensor(mask, device=device),
        "labels": torch.tensor(labels, device=device),
    }
    taught = [torch.tensor(example.targets) for example in examples if example.targets is not None]
    if taught:
        assert len(taught) == len(examples), "all of a batch was taught, or nothing of it"
        tensors["targets"] = torch.nn.utils.rnn.pad_sequence(taught, batch_first=True).to(device)
    if allowed := next((example.allowed for example in examples if example.allowed), None):
        alone = [label == OUTSIDE for label in range(len(allowed))]
        tensors["allowed"] = torch.tensor([example.allowed or alone for example in examples], device=device)
    return tensors


def causal_loss(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the cross-entropy summed over labelled tokens, each predicted from those before it.

    The model's head, the largest matrix of a small LLM, is applied only to positions where some
    example has a label to predict: the instruction, which all share, costs no logits. Padding
    stands at the end, where no token before it looks: attention needs no mask, and is faster so.
    """
    labels = tensors["labels"][:, 1:]
    columns = (labels != IGNORED).any(dim=0).nonzero().flatten()
    if not len(columns):
        columns = torch.zeros(1, dtype=torch.long, device=labels.device)
    logits = model(input_ids=tensors["input_ids"], logits_to_keep=columns, use_cache=False).logits
    return _summed(logits, labels[:, columns])


def summed_loss(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the cross-entropy summed over labelled tokens (a scalar tensor).

    Where a corpus is silent it is that of all labels which a token may have, together.
    """
    logits = model(input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"]).logits
    learned = tensors["labels"] != IGNORED
    if "targets" in tensors:
        return torch.nn.functional.cross_entropy(
            logits[learned].float(), tensors["targets"][learned], reduction="sum"
        )
    if "allowed" in tensors:
        per_token = tensors["allowed"][:, None].expand_as(logits)
        return marginal_loss(logits[learned], tensors["labels"][learned], per_token[learned])
    return _summed(logits, tensors["labels"])


def marginal_loss(logits: torch.Tensor, labels: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Return -log of the probability of all labels that a token may have, summed over tokens (a scalar).

    That is its own label alone, but for a token labelled `OUTSIDE` each that is `allowed`. `logits` and
    `allowed` are (tokens, labels). A tagger that decides each token by itself gives to all sequences which a
    corpus allows the product of these probabilities: the likelihood of Tsuboi et al. (2008) needs no sum over
    paths (docs/architecture.md).
    """
    own = torch.nn.functional.one_hot(labels, logits.shape[-1]).bool()
    may_be = own | (allowed & (labels == OUTSIDE)[:, None])
    shares = torch.nn.functional.log_softmax(logits.float(), dim=-1)
    return -shares.masked_fill(~may_be, -torch.inf).logsumexp(dim=-1).sum()


def _summed(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )


def labelled(batch: Iterable[Example]) -> int:
    """Count the labelled tokens of a batch."""
    return sum(label != IGNORED for example in batch for label in example.labels)


def blank(padding: int) -> list[Example]:
    """Return a batch that teaches nothing, for a worker whose share of a small batch is empty."""
    return [Example([padding, padding], [IGNORED, IGNORED])]


def optimizer_for(
    parameters: Iterable[torch.nn.Parameter], learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov & Hutter, 2019) for those parameters that learn."""
    return optimizer_of(decay_groups(parameters, weight_decay), learning_rate)


def optimizer_of(groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.AdamW:
    """Return AdamW for groups of parameters; `learning_rate` is that of groups without their own."""
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def decay_groups(parameters: Iterable[torch.nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Return groups of those parameters that learn: matrices decay, biases and norms do not."""
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    decayed = [parameter for parameter in learning if parameter.ndim > 1]
    spared = [parameter for parameter in learning if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


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
