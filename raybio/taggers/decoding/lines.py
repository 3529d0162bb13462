"""A word's candidate lines as a trie, and the walk through it that settles one tag after another.

Candidate lines (one for each tag) share tokens until they part at a *fork*. Only there does the
model have a choice, and only among the tokens that follow: a softmax restricted to the children.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from raybio.iob2 import OUTSIDE, label_of, may_follow
from raybio.taggers.decoding.reader import Reader
from raybio.taggers.decoding.tokens import Tokens

Choice = tuple[int, float]
"""A token that the model chose, and the probability it gave it."""


@dataclass(frozen=True, slots=True)
class Node:
    """Some of a word's candidate lines, which share their first `depth` tokens.

    At a fork, `branches` holds what is left after each of the tokens that may come next. A node
    with one tag left has none.
    """

    tags: tuple[str, ...]
    depth: int
    branches: Mapping[int, Node] = field(default_factory=dict)

    def forks(self, line: Sequence[int]) -> Iterator[Node]:
        """Yield the forks, from this node on, that a walk along one of its candidate lines meets."""
        node = self
        while node.branches:
            yield node
            node = node.branches[line[node.depth]]

    def closest(self, tag: str) -> str:
        """Return the tag closest to `tag` that is left here."""
        return closest(tag, self.tags)


def closest(tag: str, tags: Sequence[str]) -> str:
    """Return `tag` if it is one of `tags`, else one of its label, else the first."""
    if tag in tags:
        return tag
    alike = (other for other in tags if label_of(other) == label_of(tag))
    return next(alike, tags[0])


def grow(lines: Mapping[str, Sequence[int]]) -> Node:
    """Return the trie of candidate `lines`, by tag; none may be the beginning of another."""
    tags = tuple(lines)
    first, *others = lines.values()
    if not others:
        return Node(tags, len(first))
    depth = next(i for i, token in enumerate(first) if any(line[i] != token for line in others))
    parts: dict[int, dict[str, Sequence[int]]] = {}
    for tag, line in lines.items():
        parts.setdefault(line[depth], {})[tag] = line
    return Node(tags, depth, {token: grow(part) for token, part in parts.items()})


class Candidates:
    """The tries of words, made once each. With `constrained_decoding`, I-X may only follow B-X or I-X."""

    def __init__(self, tokens: Tokens, constrained_decoding: bool = False) -> None:
        self.tokens = tokens
        self._constrained = constrained_decoding
        self._tries: dict[tuple[str, str], Node] = {}

    def of(self, word: str, previous: str) -> Node:
        """Return the trie of the lines that `word` may have after a word tagged `previous`."""
        before = label_of(previous) if self._constrained else ""
        if (word, before) not in self._tries:
            lines = self.tokens.line_ids(word)
            allowed = {
                tag: ids for tag, ids in lines.items() if not self._constrained or may_follow(tag, before)
            }
            self._tries[word, before] = grow(allowed)
        return self._tries[word, before]


class Progress:
    """What is settled of one sentence: `tags` and `scores` of its first words, and the word being tagged.

    `ids` is the prompt and the settled lines. `node` holds the lines that are still open for
    the next word; there is none when `done`. A tag's score is the product, over the forks of its
    line, of the probability of the branch taken.
    """

    def __init__(self, words: Sequence[str], candidates: Candidates) -> None:
        self.words = words
        self.candidates = candidates
        self.tags: list[str] = []
        self.scores: list[float] = []
        self.ids = candidates.tokens.prompt_ids(words) if words else []
        self.prompt_length = len(self.ids)
        self.node = Node((), 0)
        self._score = 1.0
        self._open_next()

    @property
    def done(self) -> bool:
        """Whether every word has its tag."""
        return len(self.tags) == len(self.words)

    def line(self, word: int, tag: str) -> tuple[int, ...]:
        """Return the tokens of the line that gives the word at this position its tag."""
        return self.candidates.tokens.line_ids(self.words[word])[tag]

    def open_lines(self, word: int, previous: str) -> Node:
        """Return the lines still open for a word that is not settled, after a word tagged `previous`."""
        if word == len(self.tags):
            return self.node
        return self.candidates.of(self.words[word], previous)

    def decide(self, choice: Choice) -> None:
        """Take the model's choice at the fork that `node` is; settle the word if one tag is left."""
        token, probability = choice
        self.node = self.node.branches[token]
        self._score *= probability
        if not self.node.branches:
            self._settle()

    def _settle(self) -> None:
        (tag,) = self.node.tags
        self.ids += self.line(len(self.tags), tag)
        self.tags.append(tag)
        self.scores.append(self._score)
        self._open_next()

    def _open_next(self) -> None:
        if not self.done:
            previous = self.tags[-1] if self.tags else OUTSIDE
            self.node = self.candidates.of(self.words[len(self.tags)], previous)
            self._score = 1.0


def choose(reader: Reader, hidden: Tensor, forks: Sequence[Node]) -> list[Choice]:
    """Return the model's choice at each of `forks`, among its branches only.

    `hidden` (forks, hidden size) holds the states before each fork. One transfer from the device.
    """
    most = max(len(fork.branches) for fork in forks)
    branches = [list(fork.branches) for fork in forks]
    padded = torch.tensor([tokens + tokens[:1] * (most - len(tokens)) for tokens in branches])
    logits = reader.head.logits_of(hidden, padded).cpu().double()
    sizes = torch.tensor([len(tokens) for tokens in branches])
    padding = torch.arange(most) >= sizes[:, None]
    best, places = logits.masked_fill(padding, float("-inf")).softmax(dim=-1).max(dim=-1)
    return [
        (tokens[place], probability)
        for tokens, place, probability in zip(branches, places.tolist(), best.tolist(), strict=True)
    ]
