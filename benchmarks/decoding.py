"""What each decode mode and draft of an LLM costs, beside the encoder and transformers' `generate`.

    python benchmarks/decoding.py --decoder RUN/model --encoder RUN/model --data DATA [--sentences N]

All ways tag the same BC5CDR test sentences, chosen at even distances. At batch 1 the ways take turns,
sentence by sentence, so that a busy moment of the machine meets them all alike; then each tags all
sentences in batches. Encoder drafts include the encoder's own time. "same" is the share of sentences
with the tokens (or tags) of the mode's reference: `greedy` for text, `forced-tags` for tags, each at
batch 1. Compare ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from raybio.bio_output import read_completion
from raybio.config import CorpusSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.tables import align
from raybio.iob2 import tags_from_spans
from raybio.model_sources import model_folder
from raybio.prompts import Prompts
from raybio.run_folder import environment
from raybio.sentence_stream import read_sentences
from raybio.taggers import Tagger, load_tagger
from raybio.taggers.batching import token_budget_batches
from raybio.taggers.decoder import DecoderCard
from raybio.taggers.decoding import MODES, Answer, Reader, Tokens, chat_template, default_limits
from raybio.taggers.decoding.drafts import outside
from raybio.taggers.devices import pick_device, pick_dtype
from raybio.taggers.language_model import end_tokens, load_language_model

_REFERENCE = {"verified-text": "greedy", "verified-tags": "forced-tags"}


@dataclass
class Llm:
    """A trained decoder in parts, so that `generate` can be called on it too."""

    model: Any
    reader: Reader
    tokens: Tokens

    @classmethod
    def load(cls, folder: Path, precision: str) -> Llm:
        """Load the model folder of a trained decoder."""
        card = DecoderCard.read(folder)
        device = torch.device(pick_device("auto"))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = load_language_model(
            folder,
            lambda: model_folder(card.base_model),
            tokenizer,
            dtype=pick_dtype("auto" if precision == "4bit" else precision, device),
            device=device,
            four_bit=precision == "4bit",
        )
        return cls(
            model,
            Reader(model),
            Tokens(tokenizer, Prompts(card.style, chat_template(tokenizer)), end_tokens(model)),
        )


@dataclass
class Way:
    """One way to tag: what tags a batch of sentences, and what came of it."""

    mode: str
    draft: str
    tag: Callable[[Sequence[Sentence]], list[Answer]]
    answers: list[Answer] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def ways(llm: Llm, encoder: Tagger) -> Iterator[Way]:
    """Yield every way that there is to compare."""
    yield Way("encoder", "", lambda sentences: _encoded(encoder, sentences))
    yield Way("generate", "", lambda sentences: _generated(llm, sentences))
    yield Way("generate", "prompt lookup", lambda sentences: _generated(llm, sentences, 10))
    for mode in ("greedy", "forced-tags"):
        yield Way(mode, "", lambda sentences, mode=mode: _decoded(llm, mode, sentences, _outside(sentences)))
    for mode in ("verified-text", "verified-tags"):
        yield Way(
            mode,
            "outside",
            lambda sentences, mode=mode: _decoded(llm, mode, sentences, _outside(sentences)),
        )
        yield Way(
            mode,
            "encoder",
            lambda sentences, mode=mode: _decoded(
                llm, mode, sentences, [tags.tags for tags in encoder.tag(sentences)]
            ),
        )


def _outside(sentences: Sequence[Sentence]) -> list[list[str]]:
    return [outside(sentence.words) for sentence in sentences]


def _decoded(
    llm: Llm, mode: str, sentences: Sequence[Sentence], drafts: Sequence[Sequence[str]]
) -> list[Answer]:
    return MODES[mode](llm.reader, llm.tokens, [sentence.words for sentence in sentences], drafts)


def _encoded(encoder: Tagger, sentences: Sequence[Sentence]) -> list[Answer]:
    return [Answer(tags.tags, tags.scores, 1, 0, 0, "") for tags in encoder.tag(sentences)]


@torch.inference_mode()
def _generated(llm: Llm, sentences: Sequence[Sentence], lookup: int | None = None) -> list[Answer]:
    """Answer with transformers' own greedy decoding, one sentence at a time (all that its lookup can)."""
    answers = []
    for sentence in sentences:
        prompt = llm.tokens.prompt_ids(sentence.words)
        (limit,) = default_limits(llm.tokens, [sentence.words])
        out = llm.model.generate(
            input_ids=torch.tensor([prompt], device=llm.model.device),
            max_new_tokens=limit,
            do_sample=False,
            prompt_lookup_num_tokens=lookup,
            eos_token_id=sorted(llm.tokens.eos_ids),
            pad_token_id=min(llm.tokens.eos_ids),
        )
        ids = tuple(out[0, len(prompt) :].tolist())
        read = read_completion(llm.tokens.decode(ids), sentence.words, llm.tokens.prompts)
        # transformers does not tell the passes of its lookup.
        passes = len(ids) if lookup is None else 0
        answers.append(Answer(tuple(read.tags), (), passes, 0, len(ids), "", tuple(read.malformed), ids))
    return answers


def at_batch_one(compared: Sequence[Way], sentences: Sequence[Sentence]) -> None:
    """Let all ways tag each sentence alone, in turn."""
    for number, sentence in enumerate(sentences, start=1):
        for way in compared:
            started = time.perf_counter()
            way.answers += way.tag([sentence])
            way.seconds.append(time.perf_counter() - started)
        if number % 10 == 0:
            print(f"{number} of {len(sentences)} sentences", flush=True)


def batched(way: Way, llm: Llm, sentences: Sequence[Sentence], budget: int) -> tuple[list[Answer], float]:
    """Let one way tag all sentences in batches; return its answers in order, and the wall seconds."""
    lengths = [
        len(llm.tokens.prompt_ids(s.words)) + llm.tokens.longest_completion(s.words) for s in sentences
    ]
    answers: dict[int, Answer] = {}
    started = time.perf_counter()
    for batch in token_budget_batches(lengths, budget):
        answers |= dict(zip(batch, way.tag([sentences[i] for i in batch]), strict=True))
    return [answers[i] for i in range(len(sentences))], time.perf_counter() - started


def figures(
    way: Way, answers: Sequence[Answer], seconds: Sequence[float], all_ways: Sequence[Way], gold: Any
) -> dict[str, Any]:
    """Return one row of the table."""
    passes = [answer.passes for answer in answers]
    return {
        "mode": way.mode,
        "draft": way.draft,
        "passes_median": float(np.median(passes)),
        "passes_p90": float(np.percentile(passes, 90)),
        "tokens_fed": float(np.mean([answer.tokens_fed for answer in answers])),
        "seconds_median": float(np.median(seconds)),
        "seconds_p90": float(np.percentile(seconds, 90)),
        "seconds_mean": float(np.mean(seconds)),
        "strict_f1": evaluate(gold, [list(answer.tags) for answer in answers]).strict_f1,
        "malformed": sum(len(fault.words) for answer in answers for fault in answer.malformed),
        "same": _same(way, answers, all_ways),
    }


def _same(way: Way, answers: Sequence[Answer], all_ways: Sequence[Way]) -> float | None:
    reference = next((other for other in all_ways if other.mode == _REFERENCE.get(way.mode, way.mode)), way)
    if way.mode in ("encoder", "generate"):
        return None
    kind = "token_ids" if "text" in way.mode or way.mode == "greedy" else "tags"
    pairs = zip(answers, reference.answers, strict=True)
    return float(np.mean([getattr(a, kind) == getattr(b, kind) for a, b in pairs]))


def table(rows: Sequence[dict[str, Any]], sign: str) -> str:
    """Return rows as text; times are ratios to `generate`'s mean and to the encoder's."""
    generate = next((row["seconds_mean"] for row in rows if row["mode"] == "generate"), None)
    encoder = next(row["seconds_mean"] for row in rows if row["mode"] == "encoder")
    header = (
        sign,
        "draft",
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
            f"{row['passes_median']:.0f}",
            f"{row['passes_p90']:.0f}",
            f"{row['tokens_fed']:.0f}",
            f"{row['seconds_median']:.3f}",
            f"{row['seconds_p90']:.3f}",
            f"{generate / row['seconds_mean']:.1f}" if generate else "",
            f"{row['seconds_mean'] / encoder:.1f}",
            f"{100 * row['strict_f1']:.2f}",
            f"{row['malformed']}",
            "" if row["same"] is None else f"{100 * row['same']:.1f}",
        )
        for row in rows
    ]
    return "\n".join(align(header, lines, words=2))


def main() -> None:
    """Compare all ways at batch 1 and in batches; print the two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decoder", type=Path, required=True, help="model folder of a trained decoder")
    parser.add_argument("--encoder", type=Path, required=True, help="model folder of a trained encoder")
    parser.add_argument("--data", help="folder of corpora; default: RAYBIO_DATA")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--precision", default="fp32", help="of the LLM: fp32, bf16 or 4bit")
    parser.add_argument("--batch-tokens", type=int, default=2048)
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
    compared = [w for w in ways(llm, load_tagger(arguments.encoder)) if w.mode not in arguments.skip]
    for way in compared:
        way.tag(sentences[:1])  # what is done once is not a sentence's cost

    at_batch_one(compared, sentences)
    one = [figures(way, way.answers, way.seconds, compared, gold) for way in compared]
    print(table(one, "batch 1"), flush=True)
    many = []
    for way in compared:
        if way.mode == "generate":
            continue
        answers, seconds = batched(way, llm, sentences, arguments.batch_tokens)
        many.append(figures(way, answers, [seconds / count] * count, compared, gold))
    print(table(many, "batched"))
    if arguments.json:
        result = {
            "arguments": {name: str(value) for name, value in vars(arguments).items()},
            "batch_1": one,
            "batched": many,
            "environment": environment(),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
