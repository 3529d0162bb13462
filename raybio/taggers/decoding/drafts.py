"""Where a first guess of a sentence's tags comes from. A bad one costs passes, never the answer.

A tagger's own tags are a draft as they stand (`encoder`); the others are made here.
"""

from __future__ import annotations

from collections.abc import Sequence

from raybio.iob2 import OUTSIDE


def outside(words: Sequence[str]) -> list[str]:
    """Draft that no word belongs to an entity."""
    return [OUTSIDE] * len(words)


def checked(draft: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return a draft as a list of its own.

    Raises:
        ValueError: it has not as many tags as there are words.
    """
    if len(draft) != len(words):
        raise ValueError(f"a draft of {len(draft)} tags for {len(words)} words")
    return list(draft)


class Previous:
    """Drafts, for each word, the tag it was last given in this call, whatever its case; else "O"."""

    def __init__(self) -> None:
        self._tags: dict[str, str] = {}

    def draft(self, words: Sequence[str]) -> list[str]:
        """Return a tag for each word."""
        return [self._tags.get(word.lower(), OUTSIDE) for word in words]

    def learn(self, words: Sequence[str], tags: Sequence[str]) -> None:
        """Remember the tags that a sentence's words were given."""
        self._tags.update(zip(map(str.lower, words), tags, strict=True))
