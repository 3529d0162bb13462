"""Several corpora -> the members of a union: what each annotates, what is left out, and all that is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import combinations, product

from raybio.config import CorpusSection, MemberSection
from raybio.config.corpus import corpus_name
from raybio.corpora.names import CORPORA
from raybio.corpora.shared_passages import PASSAGE_WORDS, WORD, ScoredText, passages_of, words_of
from raybio.entities import Document
from raybio.errors import ConfigError
from raybio.members import Member
from raybio.sentence_stream import read_documents

_SPLITS = ("train", "dev", "test")
_MIDDLE = PASSAGE_WORDS // 2
_DOCUMENTS = 2
"""In how many documents at least a label must be another corpus's, before that is a fault of the mapping."""


@dataclass(frozen=True, slots=True)
class Called:
    """A word in the middle of a passage: the label that a corpus has for it, and the document it is in."""

    label: str
    word: str
    document: str


@dataclass(slots=True)
class Reading:
    """What reading a corpus found: labels as it calls them, by split, documents left out, and words.

    `words` are those of train that have a label, each by the passage of its text that it is in the middle of.
    """

    section: MemberSection
    title: str
    labels: dict[str, set[str]] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    words: dict[int, Called] = field(default_factory=dict)

    def common(self, *splits: str) -> set[str]:
        """Return the common names of the labels of splits, of all with none named."""
        names = self.section.labels
        called = {label for split in splits or _SPLITS for label in self.labels[split]}
        return {name for label in called if (name := names.get(label, label)) is not None}


def members_of(corpus: CorpusSection | Sequence[MemberSection]) -> tuple[Member, ...]:
    """Return what a model learns from: a single corpus as it is, or the members of a union.

    A union is read to its end: labels and text of its splits decide what is left out of whose train.

    Raises:
        InputError: a split cannot be read.
        ConfigError: holds everything that is wrong with labels of a union.
    """
    if isinstance(corpus, CorpusSection):
        return (Member(corpus, corpus.called),)
    return members_from(read_union(corpus))


def read_union(sections: Sequence[MemberSection]) -> list[Reading]:
    """Read all splits of corpora: what is scored first, then what of each train it leaves.

    Raises:
        InputError: a split cannot be read.
    """
    readings = [Reading(section, corpus_name(section)) for section in sections]
    scored = ScoredText()
    places = list(product(readings, ("dev", "test")))
    for place, (reading, split) in enumerate(places):
        reading.labels[split] = set()
        for document in read_documents(reading.section, split):
            reading.labels[split] |= _labels(document)
            scored.add(document, place)
    for reading in readings:
        _read_train(reading, scored, places)
    return readings


def members_from(readings: Sequence[Reading]) -> tuple[Member, ...]:
    """Return the members of the corpora that were read.

    Raises:
        ConfigError: holds everything that is wrong with their labels.
    """
    known: set[str] = set().union(*(reading.common("train") for reading in readings))
    if faults := [*_label_faults(readings, known), *_conflicts(readings)]:
        raise ConfigError("corpus", faults)
    return tuple(
        Member(
            reading.section,
            reading.title,
            reading.section.labels,
            frozenset(reading.section.annotates or _declared(reading) & known),
            reading.section.weight,
            reading.left_out,
        )
        for reading in readings
    )


def _read_train(reading: Reading, scored: ScoredText, places: Sequence[tuple[Reading, str]]) -> None:
    """Read train, and note what of it is scored by others: also a dev that is learned is learned once."""
    labels = reading.labels["train"] = set()
    for position, document in enumerate(read_documents(reading.section, "train")):
        labels |= _labels(document)
        found = [places[place] for place in sorted(scored.places(document))]
        where = next((f"{other.title} {split}" for other, split in found if other is not reading), "")
        if where:
            reading.left_out[position] = where
        else:
            reading.words.update(_called(document.with_labels(reading.section.labels)))


def _labels(document: Document) -> set[str]:
    return {mention.label for mention in document.mentions or ()}


def _declared(reading: Reading) -> set[str]:
    """Return the common labels that a corpus has: those seen in it, and what is known of one by name."""
    known = CORPORA.get(reading.section.name or "")
    own = (*known.labels, *known.aliases) if known else ()
    names = reading.section.labels
    return reading.common() | {name for label in own if (name := names.get(label, label)) is not None}


def _called(document: Document) -> Iterator[tuple[int, Called]]:
    """Yield the words of a document that have a label, each by the passage it is in the middle of."""
    labels: dict[int, str] = {}
    for mention in sorted(document.mentions or (), key=lambda each: (each.start, -each.end)):
        for place in range(mention.start, mention.end):
            labels.setdefault(place, mention.label)
    if not labels:
        return
    words = words_of(document)
    places = [found.start() for found in WORD.finditer(document.text)]
    for start, passage in enumerate(passages_of(words)):
        if label := labels.get(places[start + _MIDDLE]):
            yield hash(passage), Called(label, words[start + _MIDDLE], document.id)


def _label_faults(readings: Sequence[Reading], known: Collection[str]) -> Iterator[str]:
    for number, reading in enumerate(readings):
        section, place = reading.section, f"corpus[{number}]"
        corpus = CORPORA.get(section.name or "")
        own = set().union(*reading.labels.values(), *((corpus.labels, corpus.aliases) if corpus else ()))
        for label in sorted({*section.labels} - own):
            yield f"{place}.labels: {reading.title} has no label {_near(label, own)}"
        if not reading.common("train"):
            yield f"{place}.labels: nothing of {reading.title} is left to learn: all are null of {_list(own)}"
        for label in sorted({*(section.annotates or ())} - {*known}):
            yield f"{place}.annotates: no corpus of the list has the label {_near(label, known)}"


def _near(label: str, known: Collection[str]) -> str:
    near = get_close_matches(label, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{label!r}; {hint}There are {_list(known)}"


def _list(labels: Collection[str]) -> str:
    return ", ".join(sorted(labels)) or "none"


def _conflicts(readings: Sequence[Reading]) -> Iterator[str]:
    """Yield where two corpora have two names for one thing: words of documents that both have tell it."""
    for first, second in combinations(readings, 2):
        pairs = shared_words(first.words, second.words)
        for (label, other), words in pairs.items():
            beside = [
                len(pairs[each])
                for each in pairs
                if each != (label, other) and (each[0] == label or each[1] == other)
            ]
            in_many = len({word.document for word in words}) >= _DOCUMENTS
            if label != other and in_many and len(words) > max(beside, default=0):
                yield (
                    f"{first.title} calls {label} what {second.title} calls {other}: most such words of "
                    f"documents that both have, {words[0].word!r} of {words[0].document} for one; give them "
                    "one name in labels, or drop one with null"
                )


def shared_words(
    first: Mapping[int, Called], second: Mapping[int, Called]
) -> dict[tuple[str, str], list[Called]]:
    """Return the words, as the first has them, that two corpora have in one text, by their two labels."""
    pairs: dict[tuple[str, str], list[Called]] = defaultdict(list)
    for passage in first.keys() & second.keys():
        pairs[first[passage].label, second[passage].label].append(first[passage])
    return {pair: sorted(words, key=lambda each: (each.document, each.word)) for pair, words in pairs.items()}


def left_out_lines(members: Sequence[Member]) -> Iterator[str]:
    """Yield what is left out of whose train, for a log."""
    for member in members:
        counts = Counter(member.left_out.values())
        if counts:
            where = ", ".join(f"{count:,} in {place}" for place, count in sorted(counts.items()))
            yield (
                f"left out of {member.title}'s train, since other corpora are scored on them: "
                f"{counts.total():,} documents ({where})"
            )
