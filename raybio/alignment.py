"""Words <-> subwords, and overlapping windows for text longer than a model reads at once.

Every word gets at least one subword and every subword is read by a model: nothing is cut.
A sentence of more subwords than fit becomes several windows that overlap; each subword is
*owned* by the one window in which it has the most context on its nearer side, so that the
owned parts of the windows tile the sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raybio.errors import ModelError


@dataclass(frozen=True, slots=True)
class Window:
    """Subwords of one sentence that a model reads together.

    `ids` are without special tokens; `start` is the position of the first among the sentence's
    subwords; the window owns `[own_start, own_end)`, counted in the sentence's subwords.
    """

    sentence: int
    start: int
    ids: tuple[int, ...]
    own_start: int
    own_end: int


@dataclass(frozen=True, slots=True)
class Subwords:
    """One sentence in a model's vocabulary: `ids[i]` is a piece of word `words[i]`."""

    ids: tuple[int, ...]
    words: tuple[int, ...]

    def first_of_word(self) -> list[bool]:
        """Say of each subword whether it begins its word."""
        return [i == 0 or word != self.words[i - 1] for i, word in enumerate(self.words)]


class SubwordEncoder:
    """Encodes words one by one with a Hugging Face fast tokenizer, remembering each word.

    Tokenizers treat pre-split words independently, so this equals
    `tokenizer(words, is_split_into_words=True)` and spares the repeated work. A word that the
    tokenizer maps to nothing (a lone control character) becomes the unknown token.
    """

    _MOST_WORDS = 500_000

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{type(tokenizer).__name__} is not a fast tokenizer. Save the model with its tokenizer.json"
            )
        if tokenizer.unk_token_id is None and tokenizer.pad_token_id is None:
            raise ModelError("the tokenizer has neither an unknown nor a padding token. Set one and save it")
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}
        unknown = tokenizer.unk_token_id
        self._nothing = (tokenizer.pad_token_id if unknown is None else unknown,)

    def encode(self, sentences: Sequence[Sequence[str]]) -> list[Subwords]:
        """Return the subwords of each sentence of words."""
        self._learn(sentences)
        return [self._join(words) for words in sentences]

    def _learn(self, sentences: Sequence[Sequence[str]]) -> None:
        new = {word for words in sentences for word in words if word not in self._known}
        if not new:
            return
        if len(self._known) + len(new) > self._MOST_WORDS:
            self._known.clear()
            new = {word for words in sentences for word in words}
        ordered = sorted(new)
        encoded = self._tokenizer(
            [[word] for word in ordered], is_split_into_words=True, add_special_tokens=False, verbose=False
        )["input_ids"]
        for word, ids in zip(ordered, encoded, strict=True):
            self._known[word] = tuple(ids) or self._nothing

    def _join(self, words: Sequence[str]) -> Subwords:
        ids: list[int] = []
        owners: list[int] = []
        for i, word in enumerate(words):
            pieces = self._known[word]
            ids.extend(pieces)
            owners.extend([i] * len(pieces))
        return Subwords(tuple(ids), tuple(owners))


def windows(subwords: Subwords, sentence: int, size: int, overlap: int) -> list[Window]:
    """Cut a sentence into windows of at most `size` subwords that share `overlap` with the next.

    The last window shares more, so that it is full. An empty sentence has no window.

    Raises:
        ValueError: `overlap` is not smaller than `size`.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} subwords does not fit in windows of {size}")
    length = len(subwords.ids)
    if not length:
        return []
    starts = list(range(0, max(length - overlap, 1), size - overlap))
    # A last window that is short has little context: move it left, so that it is full.
    starts[-1] = max(0, min(starts[-1], length - size))
    ends = [min(start + size, length) for start in starts]
    seams = [(end + start) // 2 for end, start in zip(ends[:-1], starts[1:], strict=True)]
    return [
        Window(sentence, start, subwords.ids[start:end], own_start, own_end)
        for start, end, own_start, own_end in zip(starts, ends, [0, *seams], [*seams, length], strict=True)
    ]
