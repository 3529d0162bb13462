"""What each decode mode and draft of an LLM costs, beside the encoder and transformers' `generate`.

    python benchmarks/decoding.py --decoder RUN/model --encoder RUN/model --data DATA [--sentences N]
        [--tag-head RUN/model]

All ways tag the same BC5CDR test sentences, chosen at even distances: one by one, then in batches.
One by one the ways take turns, so that a busy moment of the machine meets them all alike; `generate`,
`greedy` and `forced-tags`, which take longest, read only `--slow` of the sentences so, again at even
distances, and ratios are those of the sentences that both ways read. Encoder drafts include the
encoder's own time; the draft `previous` knows what the same way has tagged before. "same" is the
share of sentences with the tokens (or tags) of the mode's reference, among those that it read:
`greedy` one by one for text, `forced-tags` one by one for tags. `generate` has the model as
transformers loads it, the decode modes as raybio does: in bf16 on a CPU that multiplies it, with
prepacked layers. What those alone are worth is the difference between `generate` and `greedy`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from decoding_ways import Llm, Way, ways

from raybio.config import CorpusSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.tables import align
from raybio.iob2 import tags_from_spans
from raybio.run_folder import environment
from raybio.sentence_stream import read_sentences
from raybio.taggers import load_tagger
from raybio.taggers.batching import token_budget_batches

_REFERENCE = {"verified-text": "greedy", "verified-tags": "forced-tags"}
_SLOW = ("generate", "greedy", "forced-tags")
_SAID = ("sentences", "slow", "precision", "batch_tokens", "threads", "skip")


def one_by_one(compared: Sequence[Way], sentences: Sequence[Sentence], slow: int) -> None:
    """Let the ways tag each sentence alone, in turn; the slow ones `slow` of them."""
    theirs = {i * len(sentences) // slow for i in range(slow)}
    for i, sentence in enumerate(sentences):
        for way in compared:
            if way.mode in _SLOW and i not in theirs:
                continue
            started = time.perf_counter()
            (way.answers[i],) = way.tag([sentence])
            way.seconds[i] = time.perf_counter() - started
        if (i + 1) % 10 == 0:
            print(f"{i + 1} of {len(sentences)} sentences", flush=True)


def in_batches(way: Way, llm: Llm, sentences: Sequence[Sentence], budget: int) -> Way:
    """Let one way tag all sentences in batches; a sentence's seconds are its share of them all."""
    lengths = [
        len(llm.tokens.prompt_ids(s.words)) + llm.tokens.longest_completion(s.words) for s in sentences
    ]
    done = Way(way.mode, way.draft, way.tag)
    started = time.perf_counter()
    for batch in token_budget_batches(lengths, budget):
        done.answers |= dict(zip(batch, way.tag([sentences[i] for i in batch]), strict=True))
    share = (time.perf_counter() - started) / len(sentences)
    done.seconds = dict.fromkeys(done.answers, share)
    print(f"in batches: {way.mode} {way.draft}", flush=True)
    return done


def figures(way: Way, compared: Sequence[Way], references: Sequence[Way], gold: Any) -> dict[str, Any]:
    """Return one row of the table."""
    read = sorted(way.answers)
    answers = [way.answers[i] for i in read]
    seconds = [way.seconds[i] for i in read]
    passes = [answer.passes for answer in answers]
    return {
        "mode": way.mode,
        "draft": way.draft,
        "sentences": len(read),
        "passes_median": float(np.median(passes)),
        "passes_p90": float(np.percentile(passes, 90)),
        "tokens_fed": float(np.mean([answer.tokens_fed for answer in answers])),
        "seconds_median": float(np.median(seconds)),
        "seconds_p90": float(np.percentile(seconds, 90)),
        "seconds_mean": float(np.mean(seconds)),
        "generate_by_this": _ratio(_named("generate", compared), way),
        "this_by_encoder": _ratio(way, _named("encoder", compared)),
        "strict_f1": evaluate([gold[i] for i in read], [list(answer.tags) for answer in answers]).strict_f1,
        "malformed": sum(len(answer.malformed) for answer in answers),
        "same": _same(way, _named(_REFERENCE.get(way.mode, way.mode), references)),
    }


def _named(mode: str, compared: Sequence[Way]) -> Way | None:
    return next((way for way in compared if way.mode == mode), None)


def _ratio(a: Way | None, b: Way | None) -> float | None:
    """Return how many times b's seconds a took, for the sentences that both read."""
    if a is None or b is None:
        return None
    both = a.seconds.keys() & b.seconds.keys()
    return sum(a.seconds[i] for i in both) / sum(b.seconds[i] for i in both)


def _same(way: Way, reference: Way | None) -> float | None:
    if reference is None or way.mode in ("encoder", "tag-head", "generate"):
        return None
    kind = "token_ids" if way.mode in ("greedy", "verified-text") else "tags"
    both = way.answers.keys() & reference.answers.keys()
    return float(
        np.mean([getattr(way.answers[i], kind) == getattr(reference.answers[i], kind) for i in both])
    )


def table(rows: Sequence[dict[str, Any]], sign: str) -> str:
    """Return rows as text; times beside `generate`'s and the encoder's."""
    header = (
        sign,
        "draft",
        "sentences",
        "passes p50",
        "p90",
        "fed",
        "s p50",
        "s p90",
        "generate/this",
        "this/encoder",
        "F1",
        "malformed",
        "same %",
    )
    lines = [
        (
            row["mode"],
            row["draft"],
            f"{row['sentences']}",
            f"{row['passes_median']:.0f}",
            f"{row['passes_p90']:.0f}",
            f"{row['tokens_fed']:.0f}",
            f"{row['seconds_median']:.3f}",
            f"{row['seconds_p90']:.3f}",
            _or_nothing(row["generate_by_this"]),
            _or_nothing(row["this_by_encoder"]),
            f"{100 * row['strict_f1']:.2f}",
            f"{row['malformed']}",
            _or_nothing(row["same"] and 100 * row["same"]),
        )
        for row in rows
    ]
    return "\n".join(align(header, lines, words=2))


def _or_nothing(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.1f}"


def main() -> None:
    """Compare all ways at batch 1 and in batches; print the two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decoder", type=Path, required=True, help="model folder of a trained decoder")
    parser.add_argument("--encoder", type=Path, required=True, help="model folder of a trained encoder")
    parser.add_argument("--tag-head", type=Path, help="model folder of an LLM trained with head: tags")
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--slow", type=int, default=40, help="sentences that the slow ways read one by one")
    parser.add_argument("--precision", default="fp32", help="of the LLM: fp32, bf16 or 4bit")
    parser.add_argument("--batch-tokens", type=int, default=2048, help="0: one by one only")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--skip", nargs="*", default=[], metavar="MODE", help="modes to leave out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    every = [s for s in read_sentences(CorpusSection(name="BC5CDR", data=arguments.data), "test") if s.words]
    count = min(arguments.sentences, len(every))
    sentences = [every[i * len(every) // count] for i in range(count)]
    gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in sentences]
    llm = Llm.load(arguments.decoder, arguments.precision)
    encoder = load_tagger(arguments.encoder)
    tag_head = load_tagger(arguments.tag_head) if arguments.tag_head else None

    def anew() -> list[Way]:
        return [way for way in ways(llm, encoder, tag_head) if way.mode not in arguments.skip]

    for way in anew():
        way.tag(sentences[:1])  # what is done once is not a sentence's cost
    compared = anew()

    one_by_one(compared, sentences, min(arguments.slow, count))
    one = [figures(way, compared, compared, gold) for way in compared if way.answers]
    print(table(one, "one by one"), flush=True)
    write(arguments, {"one_by_one": one})
    if not arguments.batch_tokens:
        return
    batched = [
        in_batches(way, llm, sentences, arguments.batch_tokens)
        for way in anew()
        if way.draft != "prompt lookup"
    ]
    many = [figures(way, batched, compared, gold) for way in batched]
    print(table(many, "in batches"))
    write(arguments, {"one_by_one": one, "in_batches": many})


def write(arguments: argparse.Namespace, results: Mapping[str, Any]) -> None:
    """Write what there is so far where `--json` says."""
    if arguments.json:
        result = {
            "arguments": {name: vars(arguments)[name] for name in _SAID},
            **results,
            "environment": environment(),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
