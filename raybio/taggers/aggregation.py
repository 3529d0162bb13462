"""What an encoder says of subwords -> one tag a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raybio.alignment import Subwords
from raybio.entities import Span
from raybio.iob2 import inside, tags_from_spans
from raybio.label_schemes import LabelScheme, spans_of
from raybio.taggers.base import Tags

AggregationStrategy = Literal["mean", "majority", "first", "last"]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the softmax over the last axis, safe for large logits."""
    if not logits.size:
        return logits
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def word_votes(
    probabilities: NDArray[np.float32], starts: NDArray[np.int64], decision: AggregationStrategy
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gather (subwords, tags) probabilities into (words, tags) votes and scores.

    `starts` are the positions of each word's first subword. "first" reads that one alone, "last" the one
    before the next word's; "mean" averages the word's subwords; "majority" counts each subword's best tag
    (the study's way; the earlier subword's tag wins a tie). A score is the mean probability over the
    subwords that voted.
    """
    if decision in ("first", "last"):
        read = starts if decision == "first" else np.append(starts[1:], len(probabilities)) - 1
        return probabilities[read], probabilities[read]
    counts = np.diff([*starts, len(probabilities)]).astype(np.float32)[:, None]
    mean = np.add.reduceat(probabilities, starts, axis=0) / counts
    if decision == "mean":
        return mean, mean
    best = probabilities.argmax(axis=1)
    ballots = np.eye(probabilities.shape[1], dtype=np.int64)[best]
    # A tie goes to the tag whose first ballot came first: worth more the earlier it came, and in
    # all less than one ballot more. Whole numbers, so that no word is too long for the sum.
    most = len(best)
    earliest = np.maximum.reduceat(ballots * np.arange(most, 0, -1)[:, None], starts, axis=0)
    return (most + 1) * np.add.reduceat(ballots, starts, axis=0) + earliest, mean


def legal_tags(
    chosen: NDArray[np.int64], scores: NDArray[np.floating[Any]], scheme: LabelScheme
) -> NDArray[np.int64]:
    """Return the most probable tags of a sentence among those that the scheme allows.

    `scores` are (words, tags) probabilities and `chosen` each word's best tag, which stand where
    they are legal already, or where nothing is. The score of a sequence is the product of its words'
    (Viterbi, 1967).
    """
    if not len(chosen):
        return chosen
    starts, steps, ends = _allowed(scheme)
    if starts[chosen[0]] and steps[chosen[:-1], chosen[1:]].all() and ends[chosen[-1]]:
        return chosen
    with np.errstate(divide="ignore"):
        words = np.log(np.maximum(scores, np.finfo(scores.dtype).tiny))  # a 0 is no obstacle
        transitions = np.log(steps)
        best = words[0] + np.log(starts)
        last = np.log(ends)
    origins = []
    for word in words[1:]:
        paths = best[:, None] + transitions
        origins.append(paths.argmax(axis=0))
        best = paths.max(axis=0) + word
    best = best + last
    if np.isneginf(best.max()):
        return chosen
    path = [best.argmax()]
    for origin in reversed(origins):
        path.append(origin[path[-1]])
    return np.array(path[::-1])


@lru_cache(maxsize=16)
def _allowed(scheme: LabelScheme) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which tags may come first, which after which (before, after), and which last."""
    tags = scheme.tags
    return (
        np.array([scheme.may_follow(tag, "") for tag in tags]),
        np.array([[scheme.may_follow(tag, before) for tag in tags] for before in tags]),
        np.array([scheme.may_follow("", tag) for tag in tags]),
    )


def passed_on(tags: Sequence[str], scheme: LabelScheme) -> list[str]:
    """Return a sentence's tags of any scheme as IOB2; those of IOB2 stand as they are."""
    if scheme.name == "IOB2":
        return list(tags)
    return tags_from_spans(spans_of(tags), len(tags))


@dataclass(frozen=True)
class Reading:
    """What a model says of sentences, and how their words are decided by it.

    `logits` are (subwords of all sentences, tags of the scheme).
    """

    encoded: Sequence[Subwords]
    logits: NDArray[np.float32]
    scheme: LabelScheme
    decision: AggregationStrategy
    constrained: bool

    def tags(self, temperature: float = 1.0) -> list[Tags]:
        """Return each sentence's tags, their scores at a temperature that the logits are divided by.

        The tags are those of temperature 1, at any.
        """
        if not len(self._starts):
            return [Tags((), ()) for _ in self.encoded]
        given = self.scores(1.0).tolist()
        scores = given if temperature == 1 else self.scores(temperature).tolist()
        names = [self.scheme.tags[tag] for tag in self._chosen]
        return [
            per_word(
                one.firsts,
                passed_on(names[a:b], self.scheme),
                scores[a:b],
                given[a:b] if temperature != 1 else (),
            )
            for one, (a, b) in zip(self.encoded, pairwise(self._ends), strict=True)
        ]

    def scores(self, temperature: float) -> NDArray[np.floating[Any]]:
        """Return the score of each unit's tag, units of all sentences in order.

        Words that begin with the same subword are one unit.
        """
        _, scores = self._votes if temperature == 1 else self._votes_at(temperature)
        return scores[np.arange(len(self._chosen)), self._chosen]

    def units(self, sentence: int, span: Span) -> tuple[int, int]:
        """Return the units of a sentence's words as `[first, end)` of `scores`."""
        firsts = self.encoded[sentence].firsts
        own = np.searchsorted(self._firsts[sentence], [firsts[span.start], firsts[span.end - 1]])
        first, last = own + self._ends[sentence]
        return int(first), int(last) + 1

    @cached_property
    def _firsts(self) -> list[NDArray[np.int64]]:
        """The subwords that each sentence's units begin with."""
        return [np.unique(np.array(one.firsts, dtype=np.int64)) for one in self.encoded]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([0, *map(len, self._firsts)])

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(len(one.ids) for one in self.encoded)])

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Where each unit begins among the subwords of all sentences."""
        moved = [own + offset for own, offset in zip(self._firsts, self._offsets[:-1], strict=True)]
        return np.concatenate([np.empty(0, dtype=np.int64), *moved])

    @cached_property
    def _chosen(self) -> NDArray[np.int64]:
        votes, scores = self._votes
        chosen = votes.argmax(axis=1)
        if self.constrained:
            for a, b in pairwise(self._ends):
                chosen[a:b] = legal_tags(chosen[a:b], scores[a:b], self.scheme)
        return chosen

    @cached_property
    def _votes(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._votes_at(1.0)

    def _votes_at(self, temperature: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the (units, tags) votes and scores."""
        # A blank may come before the first word of a sentence: it is a piece of no word.
        cuts = np.union1d(self._starts, self._offsets[:-1][np.diff(self._offsets) > 0])
        logits = self.logits if temperature == 1 else self.logits / np.float32(temperature)
        votes, scores = word_votes(softmax(logits), cuts, self.decision)
        kept = np.isin(cuts, self._starts)
        return votes[kept], scores[kept]


def per_word(
    firsts: Sequence[int], tags: Sequence[str], scores: Sequence[float], uncalibrated: Sequence[float] = ()
) -> Tags:
    """Give a sentence's words the tags and scores of its units: words that begin with the same subword.

    `firsts` are the subwords that words begin with (see `Subwords`). The second and later words of a unit
    continue its entity.
    """
    if len(tags) == len(firsts):
        return Tags(tuple(tags), tuple(scores), uncalibrated=tuple(uncalibrated))
    unit, before = -1, -1
    words: list[str] = []
    units: list[int] = []
    for first in firsts:
        unit += first != before
        words.append(inside(tags[unit]) if first == before else tags[unit])
        units.append(unit)
        before = first
    return Tags(
        tuple(words),
        tuple(scores[unit] for unit in units),
        uncalibrated=tuple(uncalibrated[unit] for unit in units) if uncalibrated else (),
    )
