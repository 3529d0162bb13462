"""What is in a union, counted: by corpus and label, what is left out, and where corpora differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from raybio.config import MemberSection
from raybio.corpora.sentences import split_document
from raybio.corpora.statistics import CorpusStatistics, corpus_statistics
from raybio.evaluation.tables import align
from raybio.members import Member
from raybio.training.union import members_from, read_union, shared_words

_SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class SharedWords:
    """Words of documents that two corpora have in train, by the label that each has for them."""

    first: str
    second: str
    label: str
    other: str
    words: int
    documents: int
    most_frequent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberStatistics:
    """A corpus of the union: counts by split, of common labels; train is without what is left out of it.

    `left_out` counts documents of train by where they are scored ("BioRED test").
    """

    corpus: str
    annotates: tuple[str, ...]
    splits: Mapping[str, CorpusStatistics]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class UnionStatistics:
    """The corpora of a union, and what they have in common."""

    members: tuple[MemberStatistics, ...]
    shared: tuple[SharedWords, ...]


def union_statistics(sections: Sequence[MemberSection]) -> UnionStatistics:
    """Count what is in corpora that one model is to learn from.

    Raises:
        InputError: a split cannot be read.
        ConfigError: holds everything that is wrong with their labels.
    """
    readings = read_union(sections)
    members = members_from(readings)
    shared = [
        SharedWords(
            first.title,
            second.title,
            *pair,
            words=len(words),
            documents=len({word.document for word in words}),
            most_frequent=tuple(word for word, _ in Counter(each.word for each in words).most_common(5)),
        )
        for first, second in combinations(readings, 2)
        for pair, words in sorted(shared_words(first.words, second.words).items())
    ]
    return UnionStatistics(tuple(map(_counted, members)), tuple(shared))


def _counted(member: Member) -> MemberStatistics:
    splits = {split: corpus_statistics(member.documents(split), split_document) for split in _SPLITS}
    left_out = dict(sorted(Counter(member.left_out.values()).items()))
    return MemberStatistics(member.title, tuple(sorted(member.annotates or ())), splits, left_out)


def union_tables(found: UnionStatistics) -> str:
    """Return it all for a person to read."""
    labels = sorted({label for member in found.members for label in member.annotates})
    counts = [
        [
            member.corpus,
            split,
            *(f"{number:,}" for number in (counted.documents, counted.sentences)),
            *(
                f"{counted.mentions.get(label, 0):,}" if label in member.annotates else "-"
                for label in labels
            ),
            f"{counted.flattened:,}",
        ]
        for member in found.members
        for split, counted in member.splits.items()
    ]
    lines = [
        "Mentions by common label; - where a corpus is silent",
        *align(["corpus", "split", "documents", "sentences", *labels, "flattened"], counts, words=2),
    ]
    left_out = [
        [member.corpus, place, f"{count:,}"]
        for member in found.members
        for place, count in member.left_out.items()
    ]
    if left_out:
        header = ["train of", "scored in", "documents"]
        lines += ["", "Left out of training, since another corpus is scored on them"]
        lines += align(header, left_out, words=2)
    if found.shared:
        shared = [
            [
                f"{each.first}: {each.label}",
                f"{each.second}: {each.other}",
                ", ".join(each.most_frequent),
                f"{each.words:,}",
                f"{each.documents:,}",
            ]
            for each in found.shared
        ]
        lines += ["", "Words of text that two corpora train on, by their labels"]
        lines += align(["one", "other", "most frequent", "words", "documents"], shared, words=3)
    return "\n".join(lines) + "\n"
