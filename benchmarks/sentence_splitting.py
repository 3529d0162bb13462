"""How well raw text is cut into words and sentences, against BC5CDR's own, and how fast.

    python benchmarks/sentence_splitting.py --data FOLDER [--json]

FOLDER (or the environment variable RAYBIO_DATA) holds `BC5CDR/` with the corpus twice: as PubTator,
which is raw text, and as IOB2, which was cut by its makers. A word or sentence counts as found when
it ends where one of the corpus does. The rules were made on "train+dev"; "test" is unseen.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from raybio.corpora import read_corpus
from raybio.corpora.sentences import Misalignment, split_document
from raybio.entities import Document, Sentence

SPLITS = {
    "train+dev": ("BC5CDR_TrainDev.PubTator", ("train.tsv", "dev.tsv")),
    "test": ("BC5CDR_Test.PubTator", ("test.tsv",)),
}


class Ends(NamedTuple):
    """Where words and sentences end, in characters other than white space."""

    words: set[int]
    sentences: set[int]


class Score(NamedTuple):
    """Ends in the corpus, and how many of them were found."""

    gold: int
    precision: float
    recall: float
    f1: float


class Result(NamedTuple):
    """One split: scores, gold mentions that a sentence end cuts in two, and speed."""

    abstracts: int
    words: Score
    sentences: Score
    mentions: int
    mentions_cut: int
    abstracts_per_second: float


def measure(raw: Path, tagged: Iterable[Path]) -> Result:
    """Split the abstracts of the PubTator file `raw` and compare with the IOB2 files `tagged`.

    Raises:
        ValueError: an abstract is not in `tagged`, character for character.
    """
    documents = list(read_corpus(str(raw)))
    # Text to be tagged brings no mentions; without them the clock sees splitting alone.
    plain = [replace(document, mentions=None) for document in documents]
    begin = time.perf_counter()
    split = [split_document(document) for document in plain]
    seconds = time.perf_counter() - begin
    gold_text, gold = ends(
        chain.from_iterable(document.sentences for path in tagged for document in read_corpus(str(path)))
    )
    found = Ends(set(), set())
    for document, sentences in zip(documents, split, strict=True):
        text, own = ends(sentences)
        offset = gold_text.find(text)
        if offset < 0:
            raise ValueError(f"{raw}: abstract {document.id} is not in the IOB2 files")
        found.words.update(offset + end for end in own.words)
        found.sentences.update(offset + end for end in own.sentences)
    return Result(
        len(documents),
        score(gold.words, found.words),
        score(gold.sentences, found.sentences),
        sum(len(document.mentions or ()) for document in documents),
        sum(map(mentions_cut, documents)),
        len(documents) / seconds,
    )


def ends(sentences: Iterable[Sentence]) -> tuple[str, Ends]:
    """Return the words of `sentences` as one string without white space, and what ends where in it."""
    words: list[str] = []
    position = 0
    result = Ends(set(), set())
    for sentence in sentences:
        for word in sentence.words:
            words.append(word)
            position += len(word)
            result.words.add(position)
        result.sentences.add(position)
    return "".join(words), result


def score(gold: set[int], found: set[int]) -> Score:
    """Return precision, recall and F1 of `found`."""
    right = len(gold & found)
    return Score(len(gold), right / len(found), right / len(gold), 2 * right / (len(found) + len(gold)))


def mentions_cut(document: Document) -> int:
    """Return how many gold mentions lie across two sentences."""
    heard: list[Misalignment] = []
    split_document(document, on_misaligned=heard.append)
    return sum(misalignment.reason == "across sentences" for misalignment in heard)


def table(results: dict[str, Result]) -> str:
    """Return the results as lines of text."""
    lines = [f"{'split':<10} {'ends of':<10} {'gold':>8} {'precision':>10} {'recall':>8} {'F1':>8}"]
    for split, result in results.items():
        for name, (gold, precision, recall, f1) in (("words", result.words), ("sentences", result.sentences)):
            lines.append(f"{split:<10} {name:<10} {gold:>8,} {precision:>10.2%} {recall:>8.2%} {f1:>8.2%}")
    for split, result in results.items():
        lines.append(
            f"{split}: {result.abstracts:,} abstracts, {result.abstracts_per_second:,.0f} a second; "
            f"{result.mentions_cut} of {result.mentions:,} gold mentions lie across two sentences"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure both splits and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default=os.environ.get("RAYBIO_DATA"), help="folder that holds BC5CDR/")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the corpora are: --data FOLDER, or RAYBIO_DATA=FOLDER")
    folder = Path(arguments.data) / "BC5CDR"
    results = {
        split: measure(folder / raw, [folder / name for name in tagged])
        for split, (raw, tagged) in SPLITS.items()
    }
    if arguments.json:
        as_dicts = {
            split: {
                **result._asdict(),
                "words": result.words._asdict(),
                "sentences": result.sentences._asdict(),
            }
            for split, result in results.items()
        }
        print(json.dumps(as_dicts, indent=2))
    else:
        print(table(results))


if __name__ == "__main__":
    main()
