"""`greedy`: plain decoding, one pass for each token. The reference, and the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from raybio.taggers.decoding.answer import Answer, written_answer
from raybio.taggers.decoding.lines import Choice
from raybio.taggers.decoding.passes import Question, among_all, run
from raybio.taggers.decoding.reader import Reader
from raybio.taggers.decoding.tokens import Tokens

_SPARE_TOKENS = 16


def decode(
    reader: Reader,
    tokens: Tokens,
    words: Sequence[Sequence[str]],
    drafts: Sequence[Sequence[str]] = (),
    limits: Sequence[int] = (),
) -> list[Answer]:
    """Write a completion for each sentence, given by its words, in one batch; drafts are not looked at.

    `limits` says how many tokens each may have at most; `default_limits` where it is empty.
    """
    limits = limits or default_limits(tokens, words)
    writings = [
        Writing(reader, tokens, sentence, limit) for sentence, limit in zip(words, limits, strict=True)
    ]
    return write(reader, tokens, writings)


def default_limits(tokens: Tokens, words: Sequence[Sequence[str]]) -> list[int]:
    """Return how many tokens each completion may have: half as many again as a well-formed one needs."""
    tokens.learn(word for sentence in words for word in sentence)
    needed = (tokens.longest_completion(sentence) for sentence in words)
    return [_SPARE_TOKENS + length + length // 2 for length in needed]


def write(reader: Reader, tokens: Tokens, writings: Sequence[Writing]) -> list[Answer]:
    """Write until all are done, and read the answers."""
    counts = run(reader, tokens, writings, among_all)
    return [
        written_answer(tokens, writing.words, writing.written, *effort)
        for writing, *effort in zip(writings, counts.passes, counts.tokens_fed, strict=True)
    ]


class Writing:
    """A completion being written: the prompt, and the choices made so far.

    It ends with an end token, at its limit, or where the model's context is full.
    """

    def __init__(self, reader: Reader, tokens: Tokens, words: Sequence[str], limit: int) -> None:
        self.words = words
        self.tokens = tokens
        self.prompt = tokens.prompt_ids(words) if words else []
        self.ids: list[int] = []
        self.written: list[Choice] = []
        # The last token of all is written, but never read. A prompt too long is read, and refused.
        room = max(1, reader.context + 1 - len(self.prompt))
        self.limit = min(limit, room) if words else 0

    @property
    def ended(self) -> bool:
        """Whether the model wrote an end token."""
        return bool(self.ids) and self.ids[-1] in self.tokens.eos_ids

    @property
    def done(self) -> bool:
        """Whether nothing more is to be written."""
        return self.ended or len(self.ids) >= self.limit

    def ask(self) -> Question:
        """Ask for the one token that comes next."""
        sequence = self.prompt + self.ids
        return Question(sequence, [len(sequence) - 1])

    def take(self, choices: Sequence[Choice]) -> None:
        """Write it."""
        (choice,) = choices
        self.write(choice)

    def write(self, choice: Choice) -> None:
        """Append one token."""
        self.ids.append(choice[0])
        self.written.append(choice)
