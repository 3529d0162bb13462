"""A format and a kind of tagger for raybio: values between bars, and lists of names."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from raybio.corpora import Format
from raybio.corpora.limits import MAX_RECORD_BYTES
from raybio.entities import Document, Record, Rejected, Sentence
from raybio.taggers import Tags

PSV = Format("psv", "columns id and text", (".psv",), "raybio_example", "read_psv", "write_psv")


def read_psv(stream: BinaryIO, source: str, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield a document for each row with the columns `id` and `text`."""
    rows = csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8", newline=""), delimiter="|")
    for number, row in enumerate(rows, start=1):
        text = row.get("text")
        if text is None or len(text) > max_record_bytes:
            reason = "no text" if text is None else f"larger than max_record_bytes={max_record_bytes:,}"
            yield Rejected(source, f"row {number}", reason, "Give the row a text", raw=str(row))
        else:
            yield Document(row.get("id") or str(number), text)


def write_psv(documents: Iterable[Document], stream: BinaryIO) -> None:
    """Write a row for each document, with its mentions as JSON."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, delimiter="|")
    writer.writerow(["id", "text", "mentions"])
    for document in documents:
        mentions = [[each.start, each.end, each.label] for each in document.mentions or ()]
        writer.writerow([document.id, document.text, json.dumps(mentions)])
    text.detach()


class LexiconTagger:
    """Tags the words that a list has, each as an entity of one label."""

    def __init__(self, words: Iterable[str], label: str) -> None:
        self._words = frozenset(words)
        self.labels = (label,)
        self.counts = Counter[str]()

    def tag(self, sentences: Sequence[Sentence]) -> list[Tags]:
        """Return a tag and the score 1 for each word."""
        tagged = [[f"B-{self.labels[0]}" if w in self._words else "O" for w in s.words] for s in sentences]
        return [Tags(tuple(tags), (1.0,) * len(tags)) for tags in tagged]


def load(folder: Path) -> LexiconTagger:
    """Return the tagger of a folder with words.txt and a raybio.json of kind "lexicon"."""
    card = json.loads((folder / "raybio.json").read_text(encoding="utf-8"))
    return LexiconTagger((folder / "words.txt").read_text(encoding="utf-8").split(), card["label"])
