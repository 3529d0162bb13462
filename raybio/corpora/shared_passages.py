"""Which documents share a passage with others: what keeps text that is scored out of text that is learned.

A passage is 13 words in a row, as in Brown et al. (2020, appendix C); a word is here a run of letters and
digits in any case, so that two ways of cutting a text into words, or of writing its signs, find each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from raybio.entities import Document

PASSAGE_WORDS = 13
_WORD = re.compile(r"[^\W_]+")


class Passages:
    """The passages of some documents; one of fewer words has none."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._known = {hash(passage) for document in documents for passage in _passages(document)}

    def shared_with(self, document: Document) -> str | None:
        """Return the first passage of `document` that is known too, its words one blank apart, or None."""
        if not self._known:
            return None
        return next(
            (" ".join(passage) for passage in _passages(document) if hash(passage) in self._known), None
        )


def _passages(document: Document) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(document.text.lower())
    for start in range(len(words) - PASSAGE_WORDS + 1):
        yield tuple(words[start : start + PASSAGE_WORDS])
