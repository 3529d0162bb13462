"""Words per second of wall and of CPU, and F1, of five ways to tag the same BC5CDR sentences.

    python benchmarks/encoder_throughput.py --model runs/minilm-bc5cdr/model --data DATA

The first part compares models' ways on the sentences of `--abstracts` test abstracts: the
study's (each sentence padded to 512, one at a time), `transformers.pipeline` at batch 1 and 32,
and ours in fp32 and int8. The second part repeats the test abstracts under new ids to `--repeat`
documents and compares the whole Ray Data job (reading, splitting, tagging, writing; start-up
left out of the wall time, not of the CPU's) with our bare loop over the same documents held in
memory, both in `--precision`. The first part's F1 is of words' tags, the second's of the mentions
in the documents against PubTator's.
All numbers of a run are from one machine in one state: compare their ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from raybio.bulk_tagging import tag_corpus
from raybio.bulk_tagging.tagging import tag_documents
from raybio.cluster import connected
from raybio.config import TagCorpusConfig
from raybio.corpora import read_corpus, write_corpus
from raybio.corpora.names import split_path
from raybio.corpora.sentences import split_document
from raybio.demo import mention_f1
from raybio.entities import Document, Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.tables import align
from raybio.iob2 import tags_from_spans
from raybio.run_folder import environment
from raybio.taggers import load_tagger

_WARM_UP = 200
"""Sentences that each way tags before the clock starts."""

TagAll = Callable[[Sequence[Sentence]], list[list[str]]]


def study_way(model_folder: Path) -> TagAll:
    """Each sentence alone, padded to 512 subwords, tags by majority vote, as the study's code does."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForTokenClassification.from_pretrained(model_folder).eval()

    @torch.inference_mode()
    def tag(sentence: Sentence) -> list[str]:
        encoded = tokenizer(
            list(sentence.words),
            is_split_into_words=True,
            padding="max_length",
            truncation=True,
            max_length=512,
            return_tensors="pt",
        )
        best = model(**encoded).logits[0].argmax(-1).tolist()
        votes: list[Counter[str]] = [Counter() for _ in sentence.words]
        for word, tag in zip(encoded.word_ids(), best, strict=True):
            if word is not None:
                votes[word][model.config.id2label[tag]] += 1
        return [vote.most_common(1)[0][0] if vote else "O" for vote in votes]

    return lambda sentences: [tag(sentence) for sentence in sentences]


def pipeline_way(model_folder: Path, batch_size: int) -> TagAll:
    """`transformers.pipeline` over the words joined by blanks; majority vote per word."""
    tagger = pipeline("token-classification", model=str(model_folder), ignore_labels=[], device="cpu")

    def tag(sentences: Sequence[Sentence]) -> list[list[str]]:
        texts = [" ".join(sentence.words) for sentence in sentences]
        return [
            _by_word(sentence, tokens)
            for sentence, tokens in zip(sentences, tagger(texts, batch_size=batch_size), strict=True)
        ]

    return tag


def _by_word(sentence: Sentence, tokens: list[dict[str, Any]]) -> list[str]:
    ends = np.cumsum([len(word) + 1 for word in sentence.words])
    votes: list[Counter[str]] = [Counter() for _ in sentence.words]
    for token in tokens:
        votes[int(np.searchsorted(ends, token["start"], side="right"))][token["entity"]] += 1
    return [vote.most_common(1)[0][0] if vote else "O" for vote in votes]


def our_way(model_folder: Path, precision: Any, threads: int) -> TagAll:
    """Our tagger, alone, in this process."""
    tagger = load_tagger(model_folder, precision=precision, threads=threads)
    return lambda sentences: [list(tags.tags) for tags in tagger.tag(sentences)]


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what `work` returns, its wall seconds, and the CPU seconds of this process."""
    process = psutil.Process()
    before = process.cpu_times()
    started = time.perf_counter()
    result = work()
    wall = time.perf_counter() - started
    after = process.cpu_times()
    return result, wall, after.user + after.system - before.user - before.system


def compare_ways(arguments: argparse.Namespace, sentences: list[Sentence]) -> list[dict[str, Any]]:
    """Run every way over `sentences`; return its figures."""
    gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in sentences]
    words = sum(map(len, sentences))
    threads = arguments.threads
    torch.set_num_threads(threads)
    ways: dict[str, Callable[[], TagAll]] = {
        "study: padded to 512, one at a time": lambda: study_way(arguments.model),
        "transformers.pipeline, batch 1": lambda: pipeline_way(arguments.model, 1),
        "transformers.pipeline, batch 32": lambda: pipeline_way(arguments.model, 32),
        "raybio fp32": lambda: our_way(arguments.model, "fp32", threads),
        "raybio int8": lambda: our_way(arguments.model, "int8", threads),
    }
    rows = []
    for name, make in ways.items():
        tag = make()
        tag(sentences[:_WARM_UP])
        predicted, wall, cpu = timed(lambda tag=tag: tag(sentences))
        rows.append(
            {
                "way": name,
                "words_per_second": words / wall,
                "words_per_cpu_second": words / cpu,
                "sentences_per_second": len(sentences) / wall,
                "strict_f1": evaluate(gold, predicted).strict_f1,
            }
        )
        print(f"{name}: {words / wall:.0f} words/s", flush=True)
    return rows


def repeated(documents: Sequence[Document], count: int) -> Iterator[Document]:
    """Yield `count` documents, repeating `documents` under new ids."""
    for number, document in enumerate(islice(cycle(documents), count)):
        yield replace(document, id=f"{document.id}-{number}", sentences=())


def compare_job(arguments: argparse.Namespace, documents: Sequence[Document]) -> list[dict[str, Any]]:
    """Compare the whole Ray job with the bare loop over the same documents; return their figures."""
    gold = list(repeated(documents, arguments.repeat))
    many = [replace(document, mentions=None) for document in gold]
    words = sum(len(sentence) for document in documents for sentence in split_document(document))
    words = words * len(many) // len(documents)
    tagger = load_tagger(arguments.model, precision=arguments.precision, threads=arguments.threads)
    tag_documents(many[:50], tagger, (), "")
    tagged, bare, bare_cpu = timed(lambda: _bare_loop(many, tagger, arguments.shard_documents))
    with tempfile.TemporaryDirectory() as folder:
        source, answers = f"{folder}/abstracts.jsonl", Path(folder, "gold.jsonl")
        write_corpus(many, source)
        write_corpus(gold, str(answers))
        config = TagCorpusConfig(
            job="tag-corpus",
            model=str(arguments.model),
            input=(source,),
            output=f"{folder}/tagged",
            precision=arguments.precision,
            shard_documents=arguments.shard_documents,
        )
        with connected():
            before = _cpu_of_tree()
            job = tag_corpus(config)
            job_cpu = _cpu_of_tree() - before
        return [
            {
                "way": f"bare loop, {arguments.precision}",
                "words_per_second": words / bare,
                "words_per_cpu_second": words / bare_cpu,
                "strict_f1": _mention_f1(gold, tagged),
            },
            {
                "way": f"whole Ray job, {arguments.precision}",
                "words_per_second": words / job.tagging_seconds,
                "words_per_cpu_second": words / job_cpu,
                "strict_f1": mention_f1(job.output, answers),
            },
        ]


def _bare_loop(documents: Sequence[Document], tagger: Any, size: int) -> list[Document]:
    parts = (documents[start : start + size] for start in range(0, len(documents), size))
    return [document for part in parts for document in tag_documents(part, tagger, (), "").documents]


def _mention_f1(gold: Sequence[Document], tagged: Sequence[Document]) -> float:
    """Return strict F1 of the mentions in documents, as `mention_f1` does of a tagged output."""
    expected, found = (
        {(document.id, m.start, m.end, m.label) for document in documents for m in document.mentions or ()}
        for documents in (gold, tagged)
    )
    return 2 * len(expected & found) / (len(expected) + len(found))


def _cpu_of_tree() -> float:
    """Return the CPU seconds of this process and all below it that live: Ray's workers do, for a while."""
    parent = psutil.Process()
    return sum(
        times.user + times.system
        for each in (parent, *parent.children(recursive=True))
        for times in [each.cpu_times()]
    )


def main() -> None:
    """Run both parts and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a model folder trained on BC5CDR")
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument(
        "--abstracts", type=int, default=100, help="test abstracts of the first part; 0 leaves it out"
    )
    parser.add_argument(
        "--repeat", type=int, default=5000, help="documents of the second part; 0 leaves it out"
    )
    parser.add_argument("--precision", default="int8", help="of the second part: fp32 or int8")
    parser.add_argument("--shard-documents", type=int, default=250)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    path = Path(split_path("BC5CDR", "test", arguments.data)).with_name("BC5CDR_Test.PubTator")
    documents = list(read_corpus(str(path)))
    sentences = [s for d in documents[: arguments.abstracts] for s in split_document(d)]
    rows = compare_ways(arguments, sentences) if sentences else []
    if arguments.repeat:
        rows += compare_job(arguments, documents)
    table = [
        (
            row["way"],
            f"{row['words_per_second']:,.0f}",
            f"{row['words_per_cpu_second']:,.0f}" if "words_per_cpu_second" in row else "",
            f"{100 * row['strict_f1']:.2f}" if "strict_f1" in row else "",
        )
        for row in rows
    ]
    print("\n".join(align(("way", "words/s", "words/CPU-s", "strict F1"), table)))
    if arguments.json:
        report = {"rows": rows, "sentences": len(sentences), "environment": environment()}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
