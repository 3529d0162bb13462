"""F1 of trained taggers on the same sentences, encoder or LLM, by entity length, with intervals.

    python benchmarks/quality.py RUN/model RUN/model --data DATA [--corpus NAME] [--split dev]
        [--sentences N]

All tag the same sentences of one split, test by default, chosen at even distances. Each gets its table; then
each is set beside the first: the difference of their strict F1, with its interval by a paired
bootstrap over documents.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch

from raybio.config import CorpusSection
from raybio.evaluation import evaluate
from raybio.evaluation.significance import paired_difference
from raybio.evaluation.tables import render_difference, render_evaluation
from raybio.run_folder import environment
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.taggers import load_tagger
from raybio.taggers.card import kind_of


def main() -> None:
    """Tag, score and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+", help="model folders of trained taggers")
    parser.add_argument("--corpus", default="BC5CDR")
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test")
    parser.add_argument("--sentences", type=int, help="default: all")
    parser.add_argument("--precision", default="auto")
    parser.add_argument(
        "--draft-model", type=Path, help="encoder whose tags an LLM verifies: faster, same tags"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    corpus = CorpusSection(name=arguments.corpus, data=arguments.data)
    every = [sentence for sentence in read_sentences(corpus, arguments.split) if sentence.words]
    count = min(arguments.sentences or len(every), len(every))
    sentences = [every[i * len(every) // count] for i in range(count)]
    gold = [gold_tags(sentence) for sentence in sentences]
    documents = [sentence.document_id for sentence in sentences]
    predicted = {}
    scores = {}
    for folder in arguments.models:
        drafted = arguments.draft_model and kind_of(folder) == "decoder"
        decoding = {"draft_model": str(arguments.draft_model)} if drafted else None
        tagger = load_tagger(folder, precision=arguments.precision, decoding=decoding)
        predicted[str(folder)] = [list(tags.tags) for tags in tagger.tag(sentences)]
        scores[str(folder)] = evaluate(gold, predicted[str(folder)], documents, 1000).to_dict()
        print(f"{folder}\n{render_evaluation(scores[str(folder)])}\n", flush=True)
    first, *others = predicted
    for other in others:
        difference = paired_difference(gold, predicted[first], predicted[other], documents)
        print(render_difference(difference, first, other))
    if arguments.json:
        result = {
            "corpus": arguments.corpus,
            "split": arguments.split,
            "sentences": count,
            "of": len(every),
            "scores": scores,
            "environment": environment(),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
