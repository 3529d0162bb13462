"""Each way to tag that `decoding.py` compares: an encoder, the decode modes with their drafts, `generate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from raybio.bio_output import read_completion
from raybio.entities import Sentence
from raybio.model_sources import model_folder
from raybio.prompts import Prompts
from raybio.taggers import Tagger
from raybio.taggers.decoder import DecoderCard
from raybio.taggers.decoding import MODES, Answer, Reader, Tokens, chat_template, default_limits
from raybio.taggers.decoding.drafts import Previous, outside
from raybio.taggers.devices import pick_device, pick_dtype
from raybio.taggers.language_model import end_tokens, load_language_model


@dataclass
class Llm:
    """A trained decoder in parts; `plain` is the same as transformers has it, for `generate`."""

    plain: Any
    reader: Reader
    tokens: Tokens

    @classmethod
    def load(cls, folder: Path, precision: str, device: str = "auto") -> Llm:
        """Load the model folder of a trained decoder."""
        card = DecoderCard.read(folder)
        where = torch.device(pick_device(device))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        load = partial(
            load_language_model,
            folder,
            lambda: model_folder(card.base_model),
            tokenizer,
            dtype=pick_dtype("auto" if precision == "4bit" else precision, where),
            device=where,
            packed=precision == "4bit",
        )
        model = load()
        plain = load(prepacked=False) if where.type == "cpu" else model  # only a CPU has prepacked layers
        return cls(
            plain,
            Reader(model),
            Tokens(tokenizer, Prompts(card.style, chat_template(tokenizer)), end_tokens(model)),
        )


@dataclass
class Way:
    """One way to tag: what tags a batch of sentences, and what came of it."""

    mode: str
    draft: str
    tag: Callable[[Sequence[Sentence]], list[Answer]]
    answers: dict[int, Answer] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)


def ways(llm: Llm, encoder: Tagger, tag_head: Tagger | None) -> Iterator[Way]:
    """Yield every way that there is to compare."""
    yield Way("encoder", "", lambda sentences: classified(encoder, sentences))
    if tag_head is not None:
        yield Way("tag-head", "", lambda sentences: classified(tag_head, sentences))
    yield Way("generate", "", lambda sentences: generated(llm, sentences))
    yield Way("generate", "prompt lookup", lambda sentences: generated(llm, sentences, 10))
    for mode in ("greedy", "forced-tags"):
        yield Way(mode, "", lambda sentences, mode=mode: decoded(llm, mode, sentences, _outside(sentences)))
    for mode in ("verified-text", "verified-tags"):
        known = Previous()
        yield Way(
            mode,
            "outside",
            lambda sentences, mode=mode: decoded(llm, mode, sentences, _outside(sentences)),
        )
        yield Way(
            mode,
            "encoder",
            lambda sentences, mode=mode: decoded(
                llm, mode, sentences, [tags.tags for tags in encoder.tag(sentences)]
            ),
        )
        yield Way(
            mode,
            "previous",
            lambda sentences, mode=mode, known=known: _remembered(llm, mode, sentences, known),
        )


def _outside(sentences: Sequence[Sentence]) -> list[list[str]]:
    return [outside(sentence.words) for sentence in sentences]


def decoded(
    llm: Llm, mode: str, sentences: Sequence[Sentence], drafts: Sequence[Sequence[str]]
) -> list[Answer]:
    """Answer by a decode mode."""
    return MODES[mode](llm.reader, llm.tokens, [sentence.words for sentence in sentences], drafts)


def _remembered(llm: Llm, mode: str, sentences: Sequence[Sentence], known: Previous) -> list[Answer]:
    answers = decoded(llm, mode, sentences, [known.draft(sentence.words) for sentence in sentences])
    for sentence, answer in zip(sentences, answers, strict=True):
        known.learn(sentence.words, answer.tags)
    return answers


def classified(tagger: Tagger, sentences: Sequence[Sentence]) -> list[Answer]:
    """Answer by an encoder, or an LLM with a tag head: one pass."""
    return [Answer(tags.tags, tags.scores, 1, 0, 0, "") for tags in tagger.tag(sentences)]


@torch.inference_mode()
def generated(llm: Llm, sentences: Sequence[Sentence], lookup: int | None = None) -> list[Answer]:
    """Answer with transformers' own greedy decoding; its lookup takes one sentence at a time."""
    prompts = [list(llm.tokens.prompt_ids(sentence.words)) for sentence in sentences]
    longest, filler = max(map(len, prompts)), min(llm.tokens.eos_ids)
    device = llm.plain.device
    # Padded on the left, as transformers has it: what is written begins in one column.
    padded = [[filler] * (longest - len(prompt)) + prompt for prompt in prompts]
    read = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    out = llm.plain.generate(
        input_ids=torch.tensor(padded, device=device),
        attention_mask=torch.tensor(read, device=device),
        max_new_tokens=max(default_limits(llm.tokens, [sentence.words for sentence in sentences])),
        do_sample=False,
        prompt_lookup_num_tokens=lookup,
        eos_token_id=sorted(llm.tokens.eos_ids),
        pad_token_id=filler,
    )
    return [
        _written(llm, sentence, row[longest:].tolist(), reported=lookup is None)
        for sentence, row in zip(sentences, out, strict=True)
    ]


def _written(llm: Llm, sentence: Sentence, ids: list[int], reported: bool) -> Answer:
    """Return what `generate` wrote up to its end; transformers does not tell the passes of its lookup."""
    end = next((i + 1 for i, token in enumerate(ids) if token in llm.tokens.eos_ids), len(ids))
    own = tuple(ids[:end])
    read = read_completion(llm.tokens.decode(own), sentence.words, llm.tokens.prompts)
    passes = len(own) if reported else 0
    return Answer(tuple(read.tags), (), passes, 0, len(own), "", tuple(read.malformed), own)
