"""What only a token classifier learns from: tagged sentences -> windows of labelled subwords."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from raybio.alignment import SubwordEncoder, Subwords, windows
from raybio.entities import Sentence
from raybio.iob2 import tag_set
from raybio.taggers.encoder import EncoderCard, special_tokens
from raybio.training.steps import IGNORED, Example


def cut_sentences(sentences: Iterable[Sentence], tokenizer: Any, max_tokens: int) -> Iterator[Sentence]:
    """Yield sentences without the words, and the gold spans' words, beyond `max_tokens` subwords.

    The study cut so, in training and in scoring: what lies beyond counts as neither found nor missed.
    A word that does not fit whole goes too.
    """
    encoder = SubwordEncoder(tokenizer)
    size = max_tokens - sum(map(len, special_tokens(tokenizer)))
    for sentence in sentences:
        owners = encoder.encode([sentence.words])[0].words
        kept = owners[size] if len(owners) > size else len(sentence.words)
        yield sentence if kept == len(sentence.words) else _first_words(sentence, kept)


def _first_words(sentence: Sentence, count: int) -> Sentence:
    gold = sentence.gold and tuple(
        replace(span, end=min(span.end, count)) for span in sentence.gold if span.start < count
    )
    return replace(sentence, words=sentence.words[:count], starts=sentence.starts[:count], gold=gold)


class ExampleMaker:
    """Turns tagged sentences into training windows.

    `subword_labels` "all" gives every subword its word's tag (the study's way, `B-` repeated);
    "first" labels each word's first subword only. Subwords that a window does not own are
    context and carry no label: each subword is learned once. With `cut` there is only the first window.
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
        cut: bool = False,
    ) -> None:
        self._encoder = encoder
        self._prefix, self._suffix = special
        self._tag_ids = tag_ids
        self._size = max_tokens - len(self._prefix) - len(self._suffix)
        self._overlap = overlap
        self._all = subword_labels == "all"
        self._cut = cut

    @classmethod
    def of(cls, card: EncoderCard, tokenizer: Any, cut: bool = False) -> ExampleMaker:
        """Return the maker for a model with this card: its windows are those of the finished model."""
        return cls(
            SubwordEncoder(tokenizer),
            special_tokens(tokenizer),
            {tag: i for i, tag in enumerate(tag_set(card.labels))},
            max_tokens=card.max_tokens,
            overlap=card.window_overlap,
            subword_labels=card.subword_labels,
            cut=cut,
        )

    def examples(self, words: Sequence[str], tags: Sequence[str]) -> list[Example]:
        """Return the windows of one sentence."""
        subwords = self._encoder.encode([words])[0]
        if self._cut:
            subwords = Subwords(subwords.ids[: self._size], subwords.words[: self._size])
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
