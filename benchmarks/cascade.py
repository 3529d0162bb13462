"""F1 against cost of a cascade: an encoder everywhere, an LLM where the encoder is unsure.

    python benchmarks/cascade.py --encoder RUN/model --decoder RUN/model --data DATA [--sentences N]

For each budget (the share of sentences that may be read again) the threshold is chosen by the
encoder's confidences on BC5CDR dev; F1 and cost are those of test sentences chosen at even
distances. Each sentence is read by both models once, alone, so that every budget's cost is a sum
of the same measured seconds: the encoder's for all sentences, the LLM's for those it reads again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from raybio.config import CorpusSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.tables import align
from raybio.iob2 import tags_from_spans
from raybio.run_folder import environment
from raybio.sentence_stream import read_sentences
from raybio.taggers import Tagger, Tags, load_tagger
from raybio.taggers.cascade import confidence, threshold_for
from raybio.taggers.decoder import DecoderTagger


def sentences_of(data: str | None, split: str, count: int | None) -> list[Sentence]:
    """Return `count` sentences of a split at even distances; all for None."""
    every = [s for s in read_sentences(CorpusSection(name="BC5CDR", data=data), split) if s.words]
    count = min(count or len(every), len(every))
    return [every[i * len(every) // count] for i in range(count)]


def alone(tag: Any, sentences: Sequence[Sentence]) -> tuple[list[Tags], list[float]]:
    """Tag sentences one by one; return their tags and the wall seconds of each."""
    tagged, seconds = [], []
    for i, sentence in enumerate(sentences):
        started = time.perf_counter()
        tagged.append(tag(i, sentence))
        seconds.append(time.perf_counter() - started)
    return tagged, seconds


def curve(
    encoder: Tagger, decoder: DecoderTagger, dev: Sequence[Sentence], test: Sequence[Sentence], budgets: Any
) -> list[dict[str, float]]:
    """Return one row a budget."""
    on_dev = [confidence(tags) for tags in encoder.tag(dev)]
    gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in test]
    first, first_seconds = alone(lambda _, sentence: encoder.tag([sentence])[0], test)
    second, second_seconds = alone(
        lambda i, sentence: decoder.tag_drafted([sentence], [first[i].tags])[0], test
    )
    rows = []
    for budget in budgets:
        threshold = threshold_for(on_dev, budget)
        again = [confidence(tags) < threshold for tags in first]
        found = [list((b if unsure else a).tags) for a, b, unsure in zip(first, second, again, strict=True)]
        cost = sum(first_seconds) + sum(s for s, unsure in zip(second_seconds, again, strict=True) if unsure)
        rows.append(
            {
                "budget": budget,
                "threshold": threshold,
                "reread": sum(again) / len(test),
                "strict_f1": evaluate(gold, found).strict_f1,
                "seconds_per_sentence": cost / len(test),
                "times_the_encoder": cost / sum(first_seconds),
            }
        )
    return rows


def main() -> None:
    """Measure the curve and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--decoder", type=Path, required=True)
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument(
        "--budgets", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0], metavar="P"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    decoder = load_tagger(arguments.decoder)
    if not isinstance(decoder, DecoderTagger):
        parser.error(f"{arguments.decoder} is no LLM that writes tags")
    rows = curve(
        load_tagger(arguments.encoder),
        decoder,
        sentences_of(arguments.data, "dev", None),
        sentences_of(arguments.data, "test", arguments.sentences),
        arguments.budgets,
    )
    header = ("budget", "read again %", "F1", "ms a sentence", "times the encoder")
    table = [
        (
            f"{row['budget']:.2f}",
            f"{100 * row['reread']:.1f}",
            f"{100 * row['strict_f1']:.2f}",
            f"{1000 * row['seconds_per_sentence']:.1f}",
            f"{row['times_the_encoder']:.1f}",
        )
        for row in rows
    ]
    print("\n".join(align(header, table, words=0)))
    if arguments.json:
        report = {"rows": rows, "sentences": arguments.sentences, "environment": environment()}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
