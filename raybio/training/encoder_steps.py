"""What only a token classifier learns from: tagged sentences -> windows of labelled subwords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from raybio.alignment import SubwordEncoder, Subwords, Window, windows
from raybio.config import MaskingSection, TrainingSection
from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.iob2 import tag_set
from raybio.members import Member
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import read_config
from raybio.taggers.positions import positions_of
from raybio.taggers.special_tokens import special_tokens
from raybio.training import steps
from raybio.training.steps import IGNORED, Example

POSITIONS = 512  # of a model that names no bound
_LAYER = re.compile(r"\.(?:layers?|block|h)\.(\d+)\.")


def cut_sentences(sentences: Iterable[Sentence], tokenizer: Any, card: EncoderCard) -> Iterator[Sentence]:
    """Yield sentences without the words, and the gold spans' words, beyond the card's `max_length` subwords.

    The study cut so, in training and in scoring: what lies beyond counts as neither found nor missed.
    A word that does not fit whole goes too.
    """
    encoder = SubwordEncoder(tokenizer, card.spacing)
    size = card.max_length - sum(map(len, special_tokens(tokenizer)))
    for sentence in sentences:
        owners = encoder.encode([sentence.words])[0].words
        kept = owners[size] if len(owners) > size else len(sentence.words)
        yield sentence if kept == len(sentence.words) else _first_words(sentence, kept)


def _first_words(sentence: Sentence, count: int) -> Sentence:
    gold = sentence.gold and tuple(
        replace(span, end=min(span.end, count)) for span in sentence.gold if span.start < count
    )
    return replace(sentence, words=sentence.words[:count], starts=sentence.starts[:count], gold=gold)


def window_of(base: Path, training: TrainingSection | MaskingSection) -> tuple[int, int]:
    """Return the subwords of a window and of its overlap: as configured, as far as the base model goes."""
    size = min(training.max_length, positions_of(read_config(base), base) or POSITIONS)
    return size, min(training.stride, size // 2)


def layer_groups(
    model: torch.nn.Module, learning_rate: float, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Return AdamW's groups, each layer's rate `layer_decay` times that of the layer above it.

    The head has the whole rate, the embeddings the least (Howard & Ruder, 2018).

    Raises:
        ModelError: the names of the model's weights do not tell its layers.
    """
    if layer_decay == 1:
        return steps.decay_groups(model.parameters(), weight_decay)
    named = list(model.named_parameters())
    numbers = [int(found[1]) for name, _ in named if (found := _LAYER.search(name))]
    if not numbers:
        raise ModelError(
            f"the weights of a {type(model).__name__} are not named by layers (layer.0, layer.1, ...). "
            "Leave training.layer_decay at 1"
        )
    top = max(numbers) + 1
    depths: dict[int, list[torch.nn.Parameter]] = {}
    for name, parameter in named:
        depths.setdefault(_depth(name, top), []).append(parameter)
    return [
        {**group, "lr": learning_rate * layer_decay**depth}
        for depth, parameters in sorted(depths.items())
        for group in steps.decay_groups(parameters, weight_decay)
    ]


def _depth(name: str, top: int) -> int:
    """Return how many layers down a parameter is: 0 for the head, `top` + 1 for the embeddings."""
    if found := _LAYER.search(name):
        return top - int(found[1])
    return top + 1 if "embed" in name else 0


def window_example(window: Window, labels: Sequence[int], special: tuple[list[int], list[int]]) -> Example:
    """Return a window between special tokens, with those of the sentence's `labels` that it owns."""
    prefix, suffix = special
    owned = labels[window.own_start : window.own_end]
    before = len(prefix) + window.own_start - window.start
    after = window.start + len(window.ids) - window.own_end + len(suffix)
    return Example([*prefix, *window.ids, *suffix], [IGNORED] * before + list(owned) + [IGNORED] * after)


class ExampleMaker:
    """Turns tagged sentences into training windows.

    `label_subwords` "all" gives every subword its word's tag (the study's way, `B-` repeated);
    "first" and "last" label only that one of a word's subwords. Subwords that a window does not own are
    context and carry no label: each subword is learned once. With `cut` there is only the first window.
    `allowed` says of each member of a union which tags a word that it leaves untagged may have.
    """

    def __init__(
        self,
        encoder: SubwordEncoder,
        special: tuple[list[int], list[int]],
        tag_ids: Mapping[str, int],
        *,
        max_length: int,
        overlap: int,
        label_subwords: str,
        cut: bool = False,
        allowed: Sequence[list[bool] | None] = (),
    ) -> None:
        self._encoder = encoder
        self._prefix, self._suffix = special
        self._tag_ids = tag_ids
        self._size = max_length - len(self._prefix) - len(self._suffix)
        self._overlap = overlap
        self._labelled = label_subwords
        self._cut = cut
        self._allowed = allowed

    @classmethod
    def of(
        cls, card: EncoderCard, tokenizer: Any, cut: bool = False, members: Sequence[Member] = ()
    ) -> ExampleMaker:
        """Return the maker for a model with this card: its windows are those of the finished model."""
        return cls(
            SubwordEncoder(tokenizer, card.spacing),
            special_tokens(tokenizer),
            {tag: i for i, tag in enumerate(tag_set(card.labels))},
            max_length=card.max_length,
            overlap=card.stride,
            label_subwords=card.label_subwords,
            cut=cut,
            allowed=[member.allows(card.labels) for member in members],
        )

    def of_row(self, row: Mapping[str, Any]) -> list[Example]:
        """Return the windows of a row of training: words, tags, and shares and a member's number if any."""
        examples = self.examples(row["words"], row["tags"], row.get("shares"))
        member = row.get("member")
        allowed = self._allowed[member] if self._allowed and member is not None else None
        return examples if allowed is None else [replace(each, allowed=allowed) for each in examples]

    def examples(
        self, words: Sequence[str], tags: Sequence[str], shares: Sequence[Sequence[float]] | None = None
    ) -> list[Example]:
        """Return the windows of one sentence.

        `shares` are what teachers say: of each word, the share of each tag. A word without any teaches
        nothing.
        """
        subwords = self._encoder.encode([words])[0]
        if self._cut:
            subwords = subwords.cut(self._size)
        labels = self._labels(subwords, tags)
        if shares is not None:
            labels = [
                label if any(shares[word]) else IGNORED
                for label, word in zip(labels, subwords.words, strict=True)
            ]
        return [
            self._example(window, labels, subwords, shares)
            for window in windows(subwords, 0, self._size, self._overlap)
        ]

    def _example(
        self,
        window: Window,
        labels: Sequence[int],
        subwords: Subwords,
        shares: Sequence[Sequence[float]] | None,
    ) -> Example:
        example = window_example(window, labels, (self._prefix, self._suffix))
        if shares is None:
            return example
        nothing = [0.0] * len(self._tag_ids)
        owned = subwords.words[window.own_start : window.own_end]
        taught = [list(shares[word]) for word in owned]
        before = len(self._prefix) + window.own_start - window.start
        after = len(example.ids) - before - len(taught)
        return replace(example, targets=[nothing] * before + taught + [nothing] * after)

    def _labels(self, subwords: Subwords, tags: Sequence[str]) -> list[int]:
        labelled = {
            "all": lambda: [True] * len(subwords.ids),
            "first": subwords.first_of_word,
            "last": subwords.last_of_word,
        }[self._labelled]()
        return [
            self._tag_ids[tags[word]] if learned else IGNORED
            for word, learned in zip(subwords.words, labelled, strict=True)
        ]
