"""What is in a corpus, counted, beside what the study printed about it.

Published figures: Tables I and II of "Do LLMs Surpass Encoders for Biomedical NER?", IEEE
ICHI 2025. Table I counts the instances (sentences) of each split, Table II the entities of
each test split by their length in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from raybio.entities import Document, Record, Rejected, Sentence

SOURCE = "Do LLMs Surpass Encoders for Biomedical NER?, IEEE ICHI 2025, Tables I and II"

SPLITS = ("train", "dev", "test")

PUBLISHED_INSTANCES: dict[str, dict[str, int]] = {
    "JNLPBA": {"train": 16807, "dev": 1739, "test": 3856},
    "BioRED": {"train": 1051, "dev": 269, "test": 273},
    "ChemProt": {"train": 13305, "dev": 3360, "test": 8179},
    "BC5CDR": {"train": 4560, "dev": 4581, "test": 4797},
    "Reddit-Impacts": {"train": 842, "dev": 258, "test": 278},
}
"""Table I: the instances of each split."""

PUBLISHED_LENGTHS: dict[str, tuple[int, int, int]] = {
    "JNLPBA": (3466, 2620, 2576),
    "BioRED": (2525, 411, 567),
    "ChemProt": (1348, 613, 1023),
    "BC5CDR": (7407, 1438, 964),
    "Reddit-Impacts": (28, 7, 45),
}
"""Table II: the entities of each test split, of one word, of two, of three and more."""


@dataclass(frozen=True, slots=True)
class CorpusStatistics:
    """Counts over one split.

    `mentions` counts the annotated mentions of each label, and `entities_by_length` the gold
    spans of one word, of two, of three and more. `flattened` counts the mentions that no
    gold span stands for, since it overlaps a longer one or crosses sentences; `repaired` the
    tags repaired on reading; `rejected` the records that could not be read.
    """

    documents: int
    sentences: int
    words: int
    mentions: Mapping[str, int]
    entities_by_length: tuple[int, int, int]
    flattened: int
    repaired: int
    rejected: int

    @property
    def entities(self) -> int:
        """The gold spans of all lengths."""
        return sum(self.entities_by_length)


def corpus_statistics(
    records: Iterable[Record], split: Callable[[Document], Sequence[Sentence]] | None = None
) -> CorpusStatistics:
    """Count what is in `records`: documents, and rejected records where the caller kept them.

    `split` finds the sentences of a document that brings none (PubTator); without it such a
    document counts with its mentions only.
    """
    counts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    for record in records:
        if isinstance(record, Rejected):
            counts["rejected"] += 1
        elif isinstance(record, Document):
            sentences = record.sentences or (split(record) if split else ())
            spans = [span for sentence in sentences for span in sentence.gold or ()]
            counts["documents"] += 1
            counts["sentences"] += len(sentences)
            counts["words"] += sum(map(len, sentences))
            counts["repaired"] += int(str(record.attributes.get("repaired_tags", "0")))
            labels.update(mention.label for mention in record.mentions or ())
            lengths.update(min(len(span), 3) for span in spans)
            if any(sentence.gold is not None for sentence in sentences):
                counts["flattened"] += len(record.mentions or ()) - len(spans)
    return CorpusStatistics(
        documents=counts["documents"],
        sentences=counts["sentences"],
        words=counts["words"],
        mentions=dict(sorted(labels.items())),
        entities_by_length=(lengths[1], lengths[2], lengths[3]),
        flattened=counts["flattened"],
        repaired=counts["repaired"],
        rejected=counts["rejected"],
    )


def statistics_json(rows: Mapping[tuple[str, str], CorpusStatistics]) -> dict[str, Any]:
    """Return `rows`, by (corpus, split), and the published figures as plain lists, dicts and numbers."""
    return {
        "source_of_published_figures": SOURCE,
        "rows": [
            {
                "corpus": corpus,
                "split": split,
                **asdict(found),
                "entities_by_length": list(found.entities_by_length),
                "published_sentences": PUBLISHED_INSTANCES.get(corpus, {}).get(split),
                "published_entities_by_length": _published_lengths(corpus, split),
            }
            for (corpus, split), found in rows.items()
        ],
    }


def statistics_table(rows: Mapping[tuple[str, str], CorpusStatistics]) -> str:
    """Return `rows`, by (corpus, split), as Tables I and II, published figures below ours, and the rest.

    A "rebuilt train" split stands in Table I's "train" column and says that it is rebuilt. A
    split "all" (a corpus that is not split) has a column of its own, and a line in Table II.
    """
    corpora = list(dict.fromkeys(corpus for corpus, _ in rows))
    splits = [*SPLITS, "all"] if any(split == "all" for _, split in rows) else [*SPLITS]
    instances, lengths = [], []
    for corpus in corpora:
        instances.append([corpus, "counted", *(_instances(rows, corpus, split) for split in splits)])
        if published := PUBLISHED_INSTANCES.get(corpus):
            instances.append(["", "published", *(_number(published.get(split)) for split in splits)])
        for split in ("test", "all"):
            if (corpus, split) in rows:
                lengths.append([corpus, "counted", *_lengths(rows[corpus, split].entities_by_length)])
        if (corpus, "test") in rows and corpus in PUBLISHED_LENGTHS:
            lengths.append(["", "published", *_lengths(PUBLISHED_LENGTHS[corpus])])
    others = [[corpus, split, *_others(found)] for (corpus, split), found in rows.items()]
    blocks = [
        _block("Sentences", ["corpus", "", *splits], instances),
        _block("Entities of test by length in words", ["corpus", "", "all", "1", "2", "3+"], lengths),
        _block(
            "Besides",
            ["corpus", "split", "documents", "words", "mentions", "flattened", "repaired", "rejected"],
            others,
        ),
    ]
    if any(corpus in PUBLISHED_INSTANCES for corpus in corpora):
        blocks.append(f"published: {SOURCE}")
    return "\n\n".join(blocks) + "\n"


def _instances(rows: Mapping[tuple[str, str], CorpusStatistics], corpus: str, split: str) -> str:
    if rebuilt := rows.get((corpus, f"rebuilt {split}")):
        return f"{_number(rebuilt.sentences)} (rebuilt)"
    found = rows.get((corpus, split))
    return _number(found.sentences if found else None)


def _published_lengths(corpus: str, split: str) -> list[int] | None:
    found = PUBLISHED_LENGTHS.get(corpus) if split == "test" else None
    return None if found is None else list(found)


def _others(found: CorpusStatistics) -> list[str]:
    mentions = sum(found.mentions.values())
    numbers = (found.documents, found.words, mentions, found.flattened, found.repaired, found.rejected)
    return [_number(number) for number in numbers]


def _lengths(lengths: Sequence[int]) -> list[str]:
    return [_number(sum(lengths)), *map(_number, lengths)]


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _block(title: str, header: list[str], lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    rendered = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (header, *lines)
    ]
    return "\n".join([title, *rendered])
