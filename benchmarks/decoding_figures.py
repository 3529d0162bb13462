"""How `decoding.py` lets ways of tagging take turns, and the figures of each. No Ray."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from decoding_ways import Llm, Way

from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.tables import align
from raybio.taggers.batching import token_budget_batches

_REFERENCE = {"verified-text": "greedy", "verified-tags": "forced-tags"}
_SLOW = ("generate", "greedy", "forced-tags")


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
