"""Decode modes give what they should: verified-tags = forced-tags, verified-text = greedy = generate.

In fp32 every token is the same. In bf16 and 4 bits what is read together changes the last digits: a
sentence may differ from where two tokens were equally likely up to rounding, and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from decoding_ways import Llm, decoded, generated
from transformers import LlamaConfig

from gpu.checks import CheckFailedError, Figures
from gpu.models import llm_shape, random_llm
from gpu.setting import Setting
from raybio.entities import Sentence
from raybio.iob2 import repair_tags, tag_set
from raybio.taggers.decoding import Answer
from raybio.taggers.decoding.cache import Rows
from raybio.taggers.decoding.drafts import outside
from raybio.taggers.decoding.reader import Prefix

_VERIFIED = {"verified-tags": "forced-tags", "verified-text": "greedy"}
_ROUNDINGS = 8
"""Roundings of the largest logit that tied tokens may lie apart: each layer adds its own."""


def in_full_precision(setting: Setting) -> list[Figures]:
    """Compare in fp32."""
    return _compared(setting, "fp32")


def in_bf16(setting: Setting) -> list[Figures]:
    """Compare in bf16."""
    return _compared(setting, "bf16")


def in_four_bits(setting: Setting) -> list[Figures]:
    """Compare with weights in 4 bits."""
    return _compared(setting, "4bit")


def _compared(setting: Setting, precision: str) -> list[Figures]:
    sentences = setting.test_sentences(small=2, full=32)
    llm = Llm.load(_subject(setting), precision, setting.device.type)
    drafts = {"outside": [outside(s.words) for s in sentences], "random": _drawn(setting, sentences)}
    expected = {mode: decoded(llm, mode, sentences, drafts["outside"]) for mode in _VERIFIED.values()}
    rows = [
        {"mode": mode, "draft": draft, "reference": reference}
        | _agreement(llm, sentences, decoded(llm, mode, sentences, drafts[draft]), expected[reference])
        for mode, reference in _VERIFIED.items()
        for draft in drafts
    ]
    written = [
        _until(answer, own) for answer, own in zip(generated(llm, sentences), expected["greedy"], strict=True)
    ]
    rows.append(
        {"mode": "greedy", "draft": "", "reference": "generate"}
        | _agreement(llm, sentences, expected["greedy"], written)
    )
    for row in rows:
        if row["same"] + row["ties"] < row["sentences"] or (precision == "fp32" and row["ties"]):
            raise CheckFailedError(f"{row['mode']} differs from {row['reference']} in {precision}", rows)
    return rows


def _drawn(setting: Setting, sentences: Sequence[Sentence]) -> list[list[str]]:
    """Return a random draft of each sentence's tags."""
    rng = random.Random(0)
    tags = tag_set(setting.labels)
    return [repair_tags([rng.choice(tags) for _ in sentence.words])[0] for sentence in sentences]


def _until(written: Answer, own: Answer) -> Answer:
    """Return what `generate` wrote within the sentence's own limit: it takes the batch's longest."""
    return replace(written, token_ids=written.token_ids[: len(own.token_ids)])


def _subject(setting: Setting) -> Path:
    """Return the trained LLM, or a random one: of SmolLM2's size where time allows."""
    if setting.decoder:
        return setting.decoder
    if setting.small:
        return random_llm(setting, "random-llm", llm_shape(setting))
    medium = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        initializer_range=0.05,
        tie_word_embeddings=False,
    )
    return random_llm(setting, "medium-llm", medium)


def _agreement(
    llm: Llm, sentences: Sequence[Sentence], found: Sequence[Answer], expected: Sequence[Answer]
) -> Figures:
    """Count the sentences with the same tokens, and those which differ from a tie on."""
    different = [
        (sentence, one, other)
        for sentence, one, other in zip(sentences, found, expected, strict=True)
        if one.token_ids != other.token_ids
    ]
    return {
        "sentences": len(sentences),
        "same": len(sentences) - len(different),
        "ties": sum(_is_tie(llm, *each) for each in different),
        "passes": sum(answer.passes for answer in found),
        "reference_passes": sum(answer.passes for answer in expected),
    }


@torch.inference_mode()
def _is_tie(llm: Llm, sentence: Sentence, one: Answer, other: Answer) -> bool:
    """Say whether two answers part where both tokens are equally likely up to rounding."""
    pairs = zip(one.token_ids, other.token_ids, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if at is None:  # one ends where the other does not
        return False
    read = [*llm.tokens.prompt_ids(sentence.words), *one.token_ids[:at]]
    hidden = Rows(llm.reader, Prefix((), ()), 1).read([read], [[len(read) - 1]])
    logits = llm.reader.head.logits(hidden)[0]
    rounding = torch.finfo(logits.dtype).eps * logits.abs().max().item()
    apart = logits[one.token_ids[at]] - logits[other.token_ids[at]]
    return abs(apart.item()) <= _ROUNDINGS * rounding
