"""What the abstract around a sentence is worth to an encoder: BC5CDR with several sentences in one input.

    python benchmarks/document_context.py write --data DATA --words N --to FOLDER
    python benchmarks/document_context.py compare FOLDER RUN_OF_SENTENCES RUN_OF_FOLDER [--split dev]

`write` joins the neighbouring sentences of an abstract, as many whole ones as have N words together, into
one instance and leaves train, dev and test in FOLDER, to train from: corpus.train=FOLDER/train.tsv and so on.
Each word is still read once, so that tagging costs what it did but for attention. BC5CDR's columns do not say
where an abstract ends; the titles of its PubTator files do. `compare` cuts the predictions of a run that
learned from FOLDER back into sentences, and sets them beside those of a run that learned from sentences:
paired bootstrap over abstracts.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from pathlib import Path

from raybio.config import CorpusSection
from raybio.corpora import read_corpus
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.significance import paired_difference
from raybio.evaluation.tables import render_difference
from raybio.sentence_stream import gold_tags, read_sentences

_SPLITS = ("train", "dev", "test")
_PUBTATOR = ("BC5CDR_TrainDev.PubTator", "BC5CDR_Test.PubTator")
_TITLE_SENTENCES = 3


def main() -> None:
    """Write the instances, or compare two runs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write")
    write.add_argument("--data", required=True, help="folder of corpora")
    write.add_argument("--words", type=int, required=True, help="words of an instance at most")
    write.add_argument("--to", type=Path, required=True)
    compare = commands.add_parser("compare")
    compare.add_argument("folder", type=Path, help="what `write` left")
    compare.add_argument("sentences", type=Path, help="run folder")
    compare.add_argument("context", type=Path, help="run folder")
    compare.add_argument("--split", choices=_SPLITS, default="dev")
    options = parser.parse_args()
    if options.command == "write":
        _write(options.data, options.words, options.to)
    else:
        _compare(options.folder, options.sentences, options.context, options.split)


def _write(data: str, most_words: int, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    titles = _titles(Path(data))
    for split in _SPLITS:
        corpus = CorpusSection(name="BC5CDR", data=data)
        sentences = [sentence for sentence in read_sentences(corpus, split) if sentence.words]
        abstracts = _abstracts(sentences, titles)
        instances = list(_instances(sentences, abstracts, most_words))
        lines = (_lines([pair for one in instance for pair in _pairs(one)]) for instance in instances)
        (to / f"{split}.tsv").write_text("\n".join(lines), encoding="utf-8")
        reported = {"abstracts": abstracts, "words": [len(sentence.words) for sentence in sentences]}
        (to / f"{split}.json").write_text(json.dumps(reported), encoding="utf-8")
        of = f"{len(set(abstracts))} abstracts, {len(sentences)} sentences"
        print(f"{split}: {of}, {len(instances)} instances")


def _compare(folder: Path, of_sentences: Path, of_context: Path, split: str) -> None:
    reported = json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))
    gold, without = _columns(of_sentences, split)
    joined_gold, joined = ([tag for tags in column for tag in tags] for column in _columns(of_context, split))
    ends = list(accumulate(reported["words"], initial=0))
    within = [joined[start:end] for start, end in pairwise(ends)]
    assert [joined_gold[start:end] for start, end in pairwise(ends)] == gold, "not the same sentences"
    for name, tags in ((of_sentences, without), (of_context, within)):
        print(f"{name}: strict F1 on {split} {100 * evaluate(gold, tags).strict_f1:.2f}")
    difference = paired_difference(gold, within, without, reported["abstracts"])
    print(render_difference(difference, "with context", "without"))


def _columns(run: Path, split: str) -> tuple[list[list[str]], list[list[str]]]:
    """Return the gold and the predicted tags of a run's scored sentences."""
    blocks = (run / "predictions" / f"{split}.tsv").read_text(encoding="utf-8").strip("\n").split("\n\n")
    rows = [[line.split("\t") for line in block.split("\n")] for block in blocks]
    return [[row[1] for row in block] for block in rows], [[row[2] for row in block] for block in rows]


def _titles(data: Path) -> set[str]:
    """Return what each abstract begins with, letters and digits alone."""
    documents = (document for name in _PUBTATOR for document in read_corpus(str(data / "BC5CDR" / name)))
    return {_plain(document.passage_text(document.passages[0])) for document in documents}


def _abstracts(sentences: Sequence[Sentence], titles: set[str]) -> list[str]:
    """Return the abstract of each sentence, by the number of the title that it follows."""
    plain = [_plain("".join(sentence.words)) for sentence in sentences]
    number, found = 0, []
    for i in range(len(plain)):
        # A title may have been cut into several sentences.
        if any("".join(plain[i : i + count]) in titles for count in range(1, _TITLE_SENTENCES + 1)):
            number += 1
        found.append(str(number))
    return found


def _instances(
    sentences: Sequence[Sentence], abstracts: Sequence[str], most_words: int
) -> Iterator[list[Sentence]]:
    for _, group in groupby(zip(abstracts, sentences, strict=True), itemgetter(0)):
        held: list[Sentence] = []
        for _, sentence in group:
            if held and sum(len(one.words) for one in held) + len(sentence.words) > most_words:
                yield held
                held = []
            held.append(sentence)
        yield held


def _pairs(sentence: Sentence) -> Iterator[tuple[str, str]]:
    return zip(sentence.words, gold_tags(sentence), strict=True)


def _lines(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{word}\t{tag}\n" for word, tag in pairs)


def _plain(text: str) -> str:
    return "".join(re.findall(r"[^\W_]+", text.lower()))


if __name__ == "__main__":
    main()
