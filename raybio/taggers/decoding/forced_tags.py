"""`forced-tags`: the words are forced, the model chooses among tags only, one decision after another.

The plain form of `verified-tags`: slow, and what that mode must equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from raybio.taggers.decoding.answer import Answer, forced_answer
from raybio.taggers.decoding.lines import Candidates, Choice, Progress
from raybio.taggers.decoding.passes import Question, among_branches, run
from raybio.taggers.decoding.reader import Reader
from raybio.taggers.decoding.tokens import Tokens


def decode(
    reader: Reader,
    tokens: Tokens,
    words: Sequence[Sequence[str]],
    drafts: Sequence[Sequence[str]] = (),
    limits: Sequence[int] = (),
    *,
    constrained_decoding: bool = False,
) -> list[Answer]:
    """Tag sentences, given by their words, in one batch; neither drafts nor limits are looked at.

    With `constrained_decoding`, I-X may only follow B-X or I-X.
    """
    tokens.learn(word for sentence in words for word in sentence)
    candidates = Candidates(tokens, constrained_decoding)
    sentences = [_ForcedTags(Progress(sentence, candidates)) for sentence in words]
    counts = run(reader, tokens, sentences, among_branches)
    return [
        forced_answer(sentence.progress, *effort)
        for sentence, *effort in zip(sentences, counts.passes, counts.tokens_fed, strict=True)
    ]


class _ForcedTags:
    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    @property
    def done(self) -> bool:
        return self.progress.done

    def ask(self) -> Question:
        progress = self.progress
        fork = progress.node
        shared = progress.line(len(progress.tags), fork.tags[0])[: fork.depth]
        sequence = [*progress.ids, *shared]
        return Question(sequence, [len(sequence) - 1], [fork])

    def take(self, choices: Sequence[Choice]) -> None:
        (choice,) = choices
        self.progress.decide(choice)
