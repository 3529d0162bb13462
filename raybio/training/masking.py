"""What an encoder learns to fill in: sentences of which some words are hidden (Devlin et al., 2019).

Whole words are hidden, all their subwords at once, as BiomedBERT was trained (Gu et al., 2021): the rest
of a rare name would give its hidden part away.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from raybio.alignment import SubwordEncoder, Subwords, windows
from raybio.errors import ModelError
from raybio.taggers.special_tokens import special_tokens
from raybio.training.encoder_steps import window_example
from raybio.training.steps import IGNORED, Example

# Of ten hidden subwords eight are masked, one is another, and one stays: what is tagged later has no masks.
_MASKED, _REPLACED = 0.8, 0.9


class MaskedExampleMaker:
    """Turns sentences into windows of subwords of which a `share` is hidden; they are the labels.

    Raises:
        ModelError: the tokenizer has no mask.
    """

    def __init__(self, tokenizer: Any, share: float, max_length: int, overlap: int) -> None:
        if tokenizer.mask_token_id is None:
            raise ModelError("the tokenizer has no mask token. Adapt an encoder that was trained with masks")
        self._encoder = SubwordEncoder(tokenizer)
        self._special = special_tokens(tokenizer)
        self._share = share
        self._size = max_length - sum(map(len, self._special))
        self._overlap = overlap
        self._mask = tokenizer.mask_token_id
        special = set(tokenizer.all_special_ids)
        self._vocabulary = [token for token in range(len(tokenizer)) if token not in special]

    def examples(self, words: Sequence[str], rng: random.Random) -> list[Example]:
        """Return the windows of one sentence; `rng` decides what is hidden."""
        subwords = self._encoder.encode([words])[0]
        ids, labels = list(subwords.ids), [IGNORED] * len(subwords.ids)
        for at in self._hidden(subwords, rng):
            labels[at], ids[at] = ids[at], self._instead_of(ids[at], rng)
        seen = replace(subwords, ids=tuple(ids))
        return [
            window_example(window, labels, self._special)
            for window in windows(seen, 0, self._size, self._overlap)
        ]

    def _hidden(self, subwords: Subwords, rng: random.Random) -> list[int]:
        """Return the places of the subwords to hide: words at random until they are the share.

        The last word may exceed it: were one that does not fit left out, as in BERT's own code, long names,
        the ones to learn, would be hidden less often than other words.
        """
        places: dict[int, list[int]] = {}
        for at, word in enumerate(subwords.words):
            places.setdefault(word, []).append(at)
        room = max(1, round(self._share * len(subwords.ids)))
        hidden: list[int] = []
        for word in rng.sample(sorted(places), len(places)):
            if len(hidden) >= room:
                break
            hidden += places[word]
        return hidden

    def _instead_of(self, token: int, rng: random.Random) -> int:
        chance = rng.random()
        if chance < _MASKED:
            return int(self._mask)
        return rng.choice(self._vocabulary) if chance < _REPLACED else token
