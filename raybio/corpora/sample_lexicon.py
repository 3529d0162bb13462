"""The language of the sample corpus: a grammar of names and sentences, and what expands it.

The rules are in `sample_grammar.yaml`. A rule is a symbol and its alternatives, separated by ` | ` or
line ends. In an alternative `{symbol}` stands for one expansion of that symbol, and `{Chemical:lead}` for
the word "lead" as a Chemical. Everything else is text. An expansion is a list of pieces, each a text and its
label ("" outside entities); the words of a text are never cut between two pieces.

Names are composed of morphemes (-tinib, -itis, -oma), so that a model can know one it never
saw; words such as "lead", "cold" or "KIT" are an entity in one sentence and none in another,
so that a list of names is not enough. All sentences are made up, and say nothing true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from random import Random
from typing import TypeAlias

import yaml

Piece: TypeAlias = tuple[str, str]
Lexicon: TypeAlias = dict[str, Sequence[tuple[Piece, ...]]]

LABELS = ("CellLine", "Chemical", "Disease", "Gene", "Species")

_RULES: dict[str, dict[str, str]] = yaml.safe_load(
    (files("raybio.corpora") / "sample_grammar.yaml").read_text(encoding="utf-8")
)
NAMES, SENTENCES, FULL_NAMES = _RULES["names"], _RULES["sentences"], _RULES["full_names"]

_GREEK = {"alpha": "-α", "beta": "-β", "gamma": "-γ", "delta": "-δ"}
_SLOT = re.compile(r"\{(\w+\+?)(?::([^}]+))?\}")
_BETWEEN = re.compile(r" \| |\n")


class Grammar:
    """Rules compiled once; `expand` draws from them with nothing but `random()`.

    `Random.random()` is the one method whose sequence Python promises to keep for a seed,
    so an expansion is the same on every version.
    """

    def __init__(self, rules: Mapping[str, str], lexicon: Lexicon | None = None) -> None:
        self._rules: dict[str, Sequence[tuple[Piece | str, ...]]] = {
            symbol: [_compile(text.strip()) for text in _BETWEEN.split(alternatives)]
            for symbol, alternatives in rules.items()
        }
        self._rules.update(lexicon or {})

    def expand(self, symbol: str, rng: Random) -> list[Piece]:
        """Return the pieces of one random expansion of `symbol`."""
        pieces: list[Piece] = []
        self._expand(symbol, rng, pieces)
        return pieces

    def _expand(self, symbol: str, rng: Random, into: list[Piece]) -> None:
        alternatives = self._rules[symbol]
        for item in alternatives[int(rng.random() * len(alternatives))]:
            if isinstance(item, str):
                self._expand(item, rng, into)
            else:
                into.append(item)


def text_of(pieces: Iterable[Piece]) -> str:
    """Return the text of `pieces`."""
    return "".join(text for text, _ in pieces)


def build_lexicon(rng: Random, size: int = 200) -> Lexicon:
    """Return up to `size` distinct names for each label, as pieces, in random order.

    Under "Gene+" and "Disease+" stand names with their abbreviation: `tumour growth factor
    alpha (TGF-α)`, two entities.
    """
    names, full_names = Grammar(NAMES), Grammar(NAMES | FULL_NAMES)
    lexicon: Lexicon = {}
    for label in LABELS:
        lexicon[label] = [((name, label),) for name in _distinct(names, label, rng, size)]
    for label in ("Disease", "Gene"):
        lexicon[f"{label}+"] = [
            ((name, label), (" (", ""), (abbreviation(name), label), (")", ""))
            for name in _distinct(full_names, label, rng, size // 4)
        ]
    return lexicon


def part_of(lexicon: Lexicon, start: float, end: float) -> Lexicon:
    """Return the names between the fractions `start` and `end` of each list."""
    return {
        symbol: names[int(start * len(names)) : int(end * len(names))] for symbol, names in lexicon.items()
    }


def abbreviation(name: str) -> str:
    """Return "TNF-α" for "tumour necrosis factor alpha"."""
    *words, last = name.split()
    initials = "".join(word[0].upper() for word in words)
    return initials + (_GREEK.get(last) or (last if last.isdigit() else last[0].upper()))


def _distinct(grammar: Grammar, symbol: str, rng: Random, size: int) -> list[str]:
    """Return the different names in `2 * size` expansions: fewer than `size` where the rules give few."""
    drawn = (text_of(grammar.expand(symbol, rng)) for _ in range(2 * size))
    return list(dict.fromkeys(drawn))[:size]


def _compile(alternative: str) -> tuple[Piece | str, ...]:
    """Turn an alternative's text into pieces and symbols, in order."""
    items: list[Piece | str] = []
    position = 0
    for slot in _SLOT.finditer(alternative):
        if slot.start() > position:
            items.append((alternative[position : slot.start()], ""))
        symbol, words = slot.groups()
        items.append((words, symbol) if words else symbol)
        position = slot.end()
    if position < len(alternative):
        items.append((alternative[position:], ""))
    return tuple(items)
