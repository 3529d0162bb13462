"""Which documents share a passage with others: what keeps text that is scored out of text that is learned.

A passage is 13 words in a row, as in Brown et al. (2020, appendix C); a word is here a run of letters and
digits in any case, so that two ways of cutting a text into words, or of writing its signs, find each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import or_

from raybio.entities import Document

PASSAGE_WORDS = 13
_SHORTEST = 6
WORD = re.compile(r"[^\W_]+")
"""A word, in text of any case."""
_ENDS = re.compile(r"[.?!:;\n]")


class Passages:
    """The passages of some documents; one of fewer words has none."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._known = {hash(passage) for document in documents for passage in passages_of(words_of(document))}

    def shared_with(self, document: Document) -> str | None:
        """Return the first passage of `document` that is known too, its words one blank apart, or None."""
        if not self._known:
            return None
        return next(
            (
                " ".join(passage)
                for passage in passages_of(words_of(document))
                if hash(passage) in self._known
            ),
            None,
        )


def words_of(document: Document) -> list[str]:
    """Return a document's words as passages have them."""
    return [found.group().lower() for found in WORD.finditer(document.text)]


def passages_of(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the passages of a text's words, in order."""
    for start in range(len(words) - PASSAGE_WORDS + 1):
        yield tuple(words[start : start + PASSAGE_WORDS])


class ScoredText:
    """Text that models are scored on, by numbers of places, and where of it a document is.

    A document of fewer words than a passage (files of sentences have a document for each) is found where a
    sentence begins with all its words, six at least.
    """

    def __init__(self) -> None:
        self._passages: dict[int, int] = {}
        self._openings: dict[int, list[tuple[list[str], int]]] = {}

    def add(self, document: Document, place: int) -> None:
        """Add what is scored at a place."""
        words = words_of(document)
        for passage in map(hash, passages_of(words)):
            self._passages[passage] = self._passages.get(passage, 0) | 1 << place
        for start in _sentence_starts(document.text):
            opening = words[start : start + PASSAGE_WORDS - 1]
            if len(opening) >= _SHORTEST:
                self._openings.setdefault(_begun(opening), []).append((opening, place))

    def places(self, document: Document) -> set[int]:
        """Return where a document, or a passage of it, is scored."""
        words = words_of(document)
        if len(words) < PASSAGE_WORDS:
            openings = self._openings.get(_begun(words), ()) if len(words) >= _SHORTEST else ()
            return {place for opening, place in openings if opening[: len(words)] == words}
        bits = reduce(or_, (self._passages.get(hash(each), 0) for each in passages_of(words)), 0)
        return {place for place in range(bits.bit_length()) if bits >> place & 1}


def _begun(words: Sequence[str]) -> int:
    return hash(tuple(words[:_SHORTEST]))


def _sentence_starts(text: str) -> Iterator[int]:
    """Yield the numbers of words that may begin a sentence: the first, and those after its end."""
    end = 0
    for number, word in enumerate(WORD.finditer(text)):
        if number == 0 or _ENDS.search(text, end, word.start()):
            yield number
        end = word.end()
