"""The corpora that one model learns from: a single one, or the members of a union.

A member may be silent about labels that others annotate: a word that it leaves untagged may be any of these.
Its sentences teach nothing of them, and no model is scored by it on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge

import pyarrow as pa

from raybio.config import CorpusSection
from raybio.entities import Document, Sentence
from raybio.iob2 import OUTSIDE, label_of, tag_set
from raybio.sentence_stream import (
    annotated_sentences,
    gold_tags,
    read_documents,
    read_text,
    sentence_tables,
    split_labels,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One corpus as a model learns it.

    `names` leads from its labels to common ones, or to None where they are not learned. `annotates` are
    the common labels that it marks wherever they stand; None = all there are. `left_out` are positions of
    train's documents that another member is scored on, with what that is ("BioRED test"). `sentences` counts
    those of train, where they were counted, `weight` multiplies how often they are drawn, and `draws` is how
    often an epoch draws one of them.
    """

    section: CorpusSection
    title: str
    names: Mapping[str, str | None] = field(default_factory=dict)
    annotates: frozenset[str] | None = None
    weight: float = 1.0
    left_out: Mapping[int, str] = field(default_factory=dict)
    sentences: int = 0
    draws: int = 0

    def documents(self, split: str) -> Iterator[Document]:
        """Yield the documents of "train", "dev" or "test" with common labels."""
        for position, document in enumerate(read_documents(self.section, split)):
            if split != "train" or position not in self.left_out:
                yield document.with_labels(self.names) if self.names else document

    def read(self, split: str) -> Iterator[Sentence]:
        """Yield the annotated sentences of "train", "dev" or "test" with common labels.

        Raises:
            InputError: it cannot be read, or has text that is not annotated.
        """
        return annotated_sentences(self.section, split, self.documents(split))

    def allows(self, labels: Iterable[str]) -> list[bool] | None:
        """Say of each tag of `tag_set(labels)` whether a word that is left untagged may have it.

        None where that is "O" alone: it is silent about nothing.
        """
        allowed = [tag == OUTSIDE or not self._knows(tag) for tag in tag_set(labels)]
        return allowed if sum(allowed) > 1 else None

    def own(self, tags: Sequence[str]) -> list[str]:
        """Return IOB2 tags without those of labels that it does not annotate."""
        return [tag if self._knows(tag) else OUTSIDE for tag in tags]

    def gold(self, sentence: Sentence) -> list[str]:
        """Return the gold tags that a model is scored by."""
        return self.own(gold_tags(sentence))

    def _knows(self, tag: str) -> bool:
        return self.annotates is None or label_of(tag) in self.annotates


def interleaved(members: Sequence[Member], split: str) -> Iterator[tuple[int, Sentence]]:
    """Yield the sentences of all members, each with its member's number.

    Those of train are mixed evenly, so that a shuffling buffer sees every member; others are in order.
    """
    if split != "train" or len(members) == 1:
        for number, member in enumerate(members):
            for sentence in member.read(split):
                yield number, sentence
        return
    streams = (_placed(number, member) for number, member in enumerate(members))
    for _, number, sentence in merge(*streams, key=lambda each: each[:2]):
        yield number, sentence


def split_tables(members: Sequence[Member], split: str) -> Iterator[pa.Table]:
    """Yield the sentences of all members as `interleaved` does, as tables of `SENTENCES`."""
    return sentence_tables(interleaved(members, split))


def train_and_text_tables(
    members: Sequence[Member], text: Sequence[str], max_documents: int | None
) -> Iterator[pa.Table]:
    """Yield the sentences of train, then those of files of text, whose annotations are left alone."""
    yield from split_tables(members, "train")
    yield from sentence_tables((None, sentence) for sentence in read_text(text, max_documents))


def _placed(number: int, member: Member) -> Iterator[tuple[float, int, Sentence]]:
    for position, sentence in enumerate(member.read("train")):
        yield (position + 0.5) / member.sentences, number, sentence


def with_draws(members: Sequence[Member], temperature: float) -> tuple[Member, ...]:
    """Return members that know how many sentences of each an epoch draws, as many in all as there are.

    A member of n sentences has a part in proportion to weight * n ** (1 / temperature) (Devlin et al., 2018,
    sample languages so; of largest remainders, the first has what is over).
    """
    total = sum(member.sentences for member in members)
    parts = [member.weight * member.sentences ** (1 / temperature) for member in members]
    exact = [total * part / sum(parts) for part in parts]
    counts = [int(each + 1e-9) for each in exact]  # 4560.0 may be 4559.999 by then
    by_remainder = sorted(range(len(members)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return tuple(replace(member, draws=count) for member, count in zip(members, counts, strict=True))


def labels_of_splits(members: Sequence[Member]) -> dict[str, str]:
    """Return what reports call what stands for train and dev, by member where they are of several."""
    by_member = [split_labels(member.section) for member in members]
    if all(labels == by_member[0] for labels in by_member):
        return by_member[0]
    return {
        split: ", ".join(
            f"{labels[split]} of {member.title}" for member, labels in zip(members, by_member, strict=True)
        )
        for split in by_member[0]
    }
