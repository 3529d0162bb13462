"""The loop that all decode modes share: ask, read in one pass, take what was read, until done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from raybio.taggers.decoding.cache import Rows
from raybio.taggers.decoding.lines import Choice, Node, choose
from raybio.taggers.decoding.reader import Reader
from raybio.taggers.decoding.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Question:
    """A token sequence to read, and the positions whose next token the model shall choose.

    With `forks`, one for each position, it chooses among their branches; without, among all tokens.
    """

    sequence: list[int]
    positions: list[int]
    forks: list[Node] = field(default_factory=list)


class Decoding(Protocol):
    """One sentence on its way to an answer: all that a decode mode has to say."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to ask."""
        ...

    def ask(self) -> Question:
        """Return what to read next."""
        ...

    def take(self, choices: Sequence[Choice]) -> None:
        """Take the model's choices, one for each position asked for; at least one must get settled."""
        ...


Chooser = Callable[[Reader, Tensor, Sequence[Question]], list[Choice]]


def among_branches(reader: Reader, hidden: Tensor, questions: Sequence[Question]) -> list[Choice]:
    """Choose at forks, each among its branches."""
    return choose(reader, hidden, [fork for question in questions for fork in question.forks])


def among_all(reader: Reader, hidden: Tensor, _: Sequence[Question]) -> list[Choice]:
    """Choose the likeliest token of all."""
    return reader.head.likeliest(hidden)


def run(reader: Reader, tokens: Tokens, sentences: Sequence[Decoding], chooser: Chooser) -> Rows:
    """Read until all `sentences` are done, those that are leaving the batch; return the counts."""
    rows = Rows(reader, reader.prefix(tokens.prefix_ids), len(sentences))
    live = _still_open(rows, sentences)
    while live:
        questions = [sentence.ask() for sentence in live]
        hidden = rows.read([q.sequence for q in questions], [q.positions for q in questions])
        choices = iter(chooser(reader, hidden, questions))
        for sentence, question in zip(live, questions, strict=True):
            sentence.take([next(choices) for _ in question.positions])
        live = _still_open(rows, live)
    return rows


def _still_open(rows: Rows, sentences: Sequence[Decoding]) -> list[Decoding]:
    rows.drop([place for place, sentence in enumerate(sentences) if sentence.done])
    return [sentence for sentence in sentences if not sentence.done]
