"""`verified-text`: the text of `greedy`, token for token, in far fewer forward passes.

The whole rest of the completion is drafted and read at once. The model's choices are kept as long
as they are what was drafted, and the first that is not: all of them follow tokens that it chose
itself, so they are what plain decoding would have chosen. Each pass writes at least one token.
"""

from __future__ import annotations

from collections.abc import Sequence

from raybio.taggers.decoding.answer import Answer
from raybio.taggers.decoding.drafts import checked
from raybio.taggers.decoding.greedy import Writing, default_limits, write
from raybio.taggers.decoding.lines import Candidates, Choice
from raybio.taggers.decoding.passes import Question
from raybio.taggers.decoding.reader import Reader
from raybio.taggers.decoding.resync import Resync
from raybio.taggers.decoding.tokens import Tokens


def decode(
    reader: Reader,
    tokens: Tokens,
    words: Sequence[Sequence[str]],
    drafts: Sequence[Sequence[str]],
    limits: Sequence[int] = (),
) -> list[Answer]:
    """Write a completion for each sentence, given by its words, in one batch.

    `drafts` holds a guess for every tag; `limits` says how many tokens each completion may have at
    most, `default_limits` where it is empty.
    """
    limits = limits or default_limits(tokens, words)
    candidates = Candidates(tokens)

    def drafter(sentence: Sequence[str], draft: Sequence[str]) -> Resync:
        return Resync(sentence, checked(draft, sentence), candidates)

    writings = [
        _VerifiedWriting(reader, tokens, sentence, limit, drafter(sentence, draft))
        for sentence, draft, limit in zip(words, drafts, limits, strict=True)
    ]
    return write(reader, tokens, writings)


class _VerifiedWriting(Writing):
    def __init__(
        self, reader: Reader, tokens: Tokens, words: Sequence[str], limit: int, drafter: Resync
    ) -> None:
        super().__init__(reader, tokens, words, limit)
        self._drafter = drafter
        self._draft: list[int] = []

    def ask(self) -> Question:
        """Ask for the token that comes next and, read on, those that follow each token drafted."""
        start = len(self.prompt) + len(self.ids)
        self._draft = self._drafter.rest()[: self.limit - len(self.ids) - 1]
        sequence = self.prompt + self.ids + self._draft
        return Question(sequence, list(range(start - 1, len(sequence))))

    def take(self, choices: Sequence[Choice]) -> None:
        """Write the choices that follow tokens the model chose itself; learn from the others."""
        agreed = 0
        for (token, _), drafted in zip(choices, self._draft, strict=False):
            if token != drafted:
                break
            agreed += 1
        self._drafter.adopt(choices, agreed)
        for choice in choices[: agreed + 1]:
            if not self.done:
                self.write(choice)
                self._drafter.push(choice[0])
