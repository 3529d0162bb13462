"""What every tagger does, and how its tags become mentions in a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from raybio.bio_output import Malformed
from raybio.entities import Document, Mention, Sentence
from raybio.iob2 import spans_from_tags


@dataclass(frozen=True, slots=True)
class Effort:
    """What an LLM did for one sentence.

    `seconds` is the wall time of the batches it was decoded in: its latency, not its share.
    """

    passes: int
    tokens_fed: int
    tokens_emitted: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Tags:
    """One IOB2 tag a word, and the probability in [0, 1] that the tagger gave to each.

    An LLM says its effort too, and what was malformed: lines that give no word its tag, and words
    that have no readable line, with the tag "O" and the score 0. A model whose scores are calibrated says
    in `uncalibrated` what they were before; it is empty for any other.
    """

    tags: tuple[str, ...]
    scores: tuple[float, ...]
    effort: Effort | None = None
    malformed: tuple[Malformed, ...] = ()
    uncalibrated: tuple[float, ...] = ()


class Tagger(Protocol):
    """One protocol for bulk tagging, evaluation and serving, encoder or LLM."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity labels that this tagger gives, sorted."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What the tagger has done so far, by name: "subwords", "subwords_dropped" (0), "windows"."""
        ...

    def tag(self, sentences: Sequence[Sentence]) -> list[Tags]:
        """Return the tags of each sentence, in order: as many as it has words, always."""
        ...


def place_mentions(
    document: Document, sentences: Iterable[Sentence], tagged: Iterable[Tags]
) -> list[Mention]:
    """Return the mentions that `tagged` says are in `document`, in order of position.

    A mention's score is that of its least certain word.
    """
    mentions = []
    for sentence, result in zip(sentences, tagged, strict=True):
        for span in spans_from_tags(result.tags):
            start, end = sentence.characters(span)
            score = min(result.scores[span.start : span.end])
            mentions.append(Mention(start, end, span.label, document.text[start:end], score))
    return mentions
