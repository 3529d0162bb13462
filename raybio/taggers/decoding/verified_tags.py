"""`verified-tags`: the tags of `forced-tags`, exactly, in a handful of forward passes.

All tags are drafted and the whole completion is read at once. The model's choice at a fork is
valid if everything before it is as the model itself would have it: so all decisions up to and
including the first that differs from the draft are settled. What the model chose further on is no
decision yet, but the best draft there is for the next pass (a Jacobi iteration). Each pass settles
at least one decision, hence never takes more passes than `forced-tags`, whatever the draft.
"""

from __future__ import annotations

from collections.abc import Sequence

from raybio.taggers.decoding.answer import Answer, forced_answer
from raybio.taggers.decoding.drafts import checked
from raybio.taggers.decoding.lines import Candidates, Choice, Node, Progress
from raybio.taggers.decoding.passes import Question, among_branches, run
from raybio.taggers.decoding.reader import Reader
from raybio.taggers.decoding.tokens import Tokens


def decode(
    reader: Reader,
    tokens: Tokens,
    words: Sequence[Sequence[str]],
    drafts: Sequence[Sequence[str]],
    limits: Sequence[int] = (),
    *,
    constrained_decoding: bool = False,
) -> list[Answer]:
    """Tag sentences, given by their words, in one batch; `drafts` holds a guess for every tag.

    A drafted tag that the model does not know, or that may not stand where it does, is replaced.
    Limits are not looked at. With `constrained_decoding`, I-X may only follow B-X or I-X.
    """
    tokens.learn(word for sentence in words for word in sentence)
    candidates = Candidates(tokens, constrained_decoding)
    sentences = [
        _VerifiedTags(Progress(sentence, candidates), draft)
        for sentence, draft in zip(words, drafts, strict=True)
    ]
    counts = run(reader, tokens, sentences, among_branches)
    return [
        forced_answer(sentence.progress, *effort)
        for sentence, *effort in zip(sentences, counts.passes, counts.tokens_fed, strict=True)
    ]


class _VerifiedTags:
    def __init__(self, progress: Progress, draft: Sequence[str]) -> None:
        self.progress = progress
        self.draft = checked(draft, progress.words)
        self._asked: list[tuple[int, Node, int]] = []  # each fork's word, the fork, and its drafted token

    @property
    def done(self) -> bool:
        return self.progress.done

    def ask(self) -> Question:
        """Read up to the last fork; ask at every fork on the drafted lines of the open words."""
        progress, draft = self.progress, self.draft
        sequence, positions = list(progress.ids), []
        self._asked = []
        for word in range(len(progress.tags), len(draft)):
            node = progress.open_lines(word, draft[word - 1])
            draft[word] = node.closest(draft[word])
            line = progress.line(word, draft[word])
            for fork in node.forks(line):
                positions.append(len(sequence) + fork.depth - 1)
                self._asked.append((word, fork, line[fork.depth]))
            sequence += line
        forks = [fork for _, fork, _ in self._asked]
        return Question(sequence[: positions[-1] + 1], positions, forks)

    def take(self, choices: Sequence[Choice]) -> None:
        """Decide up to the first disagreement; take the model's later choices as the next draft."""
        left = None  # the word whose drafted line the model left last
        for (word, fork, drafted), choice in zip(self._asked, choices, strict=True):
            if word == left:
                continue  # read after a token that the model would not have written
            if left is None:
                self.progress.decide(choice)
            token, _ = choice
            if token != drafted:
                self.draft[word] = fork.branches[token].closest(self.draft[word])
                left = word
