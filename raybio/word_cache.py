"""What was computed for words, kept for the next time in memory that is bounded by bytes."""

from __future__ import annotations

from collections.abc import Iterable
from sys import getsizeof
from typing import Generic, TypeVar

Value = TypeVar("Value")

_BYTES_OF_PLACE = 104
"""At most, of a word's place in a dict: most right after the dict has grown."""


class WordCache(Generic[Value]):
    """A value for each word, in at most about `max_bytes`, however long or many the words are.

    When it is full, all is forgotten. A value is made of tuples, dicts and numbers of its own; the keys
    of a dict are taken to be shared. The word added last is always there.
    """

    def __init__(self, max_bytes: int = 64 * 2**20) -> None:
        self._max_bytes = max_bytes
        self._values: dict[str, Value] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, word: str) -> bool:
        return word in self._values

    def __getitem__(self, word: str) -> Value:
        return self._values[word]

    def missing(self, words: Iterable[str]) -> list[str]:
        """Return those of `words` that are not here, each once, in their order."""
        return [word for word in dict.fromkeys(words) if word not in self._values]

    def add(self, word: str, value: Value) -> None:
        """Keep the value of a word that is not here."""
        size = getsizeof(word) + _BYTES_OF_PLACE + _bytes_of(value)
        if self._bytes + size > self._max_bytes:
            self._values.clear()
            self._bytes = 0
        self._values[word] = value
        self._bytes += size


def _bytes_of(value: object) -> int:
    if isinstance(value, tuple):
        return getsizeof(value) + sum(map(_bytes_of, value))
    if isinstance(value, dict):
        return getsizeof(value) + sum(map(_bytes_of, value.values()))
    return getsizeof(value)
