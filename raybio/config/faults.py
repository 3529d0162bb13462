"""One fault of a config: where it stands, which key, what is wrong and what to do; never a secret."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from raybio.safe_text import without_secrets

KeyPath: TypeAlias = "tuple[str | int, ...]"
"""Where a value sits in nested data: keys of mappings and 0-based positions in lists."""


class Place(NamedTuple):
    """Where a value was given. Places sort as one reads: the file by line, then the overrides."""

    turn: int
    number: int
    text: str

    @classmethod
    def line(cls, number: int) -> Place:
        """Return the place of line `number` (1-based) of the file."""
        return cls(0, number, f"line {number}")

    @classmethod
    def override(cls, position: int, word: str) -> Place:
        """Return the place of the override `word`, the `position`-th of them."""
        return cls(1, position, f"override {without_secrets(word)!r}")


WHOLE_FILE = Place(0, 0, "")


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong; `str(fault)` is its line in the message."""

    place: Place
    key: str
    problem: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place.text, self.key, self.problem) if part)


class FaultsError(ValueError):
    """Faults that one pydantic validator found below its own key, as (path below it, problem)."""

    def __init__(self, found: list[tuple[KeyPath, str]]) -> None:
        self.found = found
        super().__init__("; ".join(problem for _, problem in found))


def dotted(path: KeyPath) -> str:
    """Return "training.epochs" for ("training", "epochs") and "formats[0]" for ("formats", 0)."""
    words = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(words).removeprefix(".")


def closest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that `word` was most likely meant to be (case aside), or None."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def shown(value: object) -> str:
    """Return `value` as a message shows it: YAML's words, and long values cut."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, dict) and value:
        return "a mapping"
    text = without_secrets(repr(list(value) if isinstance(value, tuple) else value))
    return text if len(text) <= 60 else text[:57] + "..."
