"""Tiny causal models of two families, each with the kind of tokenizer its family has.

`random` models write noise, which meets every corner of the decode modes; `schooled` ones have
half learnt a few sentences by heart, and so write lines, ends, and plausible mistakes.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    Cohere2Config,
    Cohere2ForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)

from raybio.prompts import Prompts, PromptStyle
from raybio.taggers.decoding import Reader, Tokens, added_tokens

SENTENCES = [
    ("Torsade de pointes during low dose dobutamine .", "B-Disease I-Disease I-Disease O O O B-Chemical O"),
    ("Naloxone reverses the effect of clonidine in rats .", "B-Chemical O O O O B-Chemical O O O"),
    ("The authors describe the case of a patient .", "O O O O O O O O O"),
    ("β-blockers ( 20 mg ) and IL-2 : no hypotension .", "B-Chemical O O O O O B-Chemical O O B-Disease O"),
    ("congestive heart failure and cardiac failure", "B-Disease I-Disease I-Disease O B-Disease I-Disease"),
]
WORDS = sorted({word for text, _ in SENTENCES for word in text.split()})

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass
class Llm:
    """A reader with its tokens, and the model and tokenizer that they wrap."""

    reader: Reader
    tokens: Tokens
    model: Any
    tokenizer: Any


def school_text(prompts):
    return [
        line
        for text, tags in SENTENCES
        for line in [
            *prompts.prompt(text.split()).split("\n"),
            *prompts.completion(text.split(), tags.split()).split("\n"),
        ]
    ]


def byte_level(prompts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA_3), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["\n".join(school_text(prompts))], trainer)
    return wrapped(tokenizer)


def sentence_piece(prompts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special + bytes_, show_progress=False)
    tokenizer.train_from_iterator(school_text(prompts), trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in learnt["merges"]]
    tokenizer.model = models.BPE(
        learnt["vocab"], merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True
    )
    fresh = Tokenizer(tokenizer.model)
    fresh.normalizer = tokenizer.normalizer
    fresh.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fresh.add_special_tokens([AddedToken(token, special=True) for token in special])
    return wrapped(fresh)


def wrapped(tokenizer):
    start = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", start)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token=None
    )


def school(model, tokens, steps):
    """Let the model learn a few sentences, not quite by heart."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    texts = [(text.split(), tags.split()) for text, tags in SENTENCES[:3]]
    rows = [[*tokens.prompt_ids(words), *tokens.completion_ids(words, tags)] for words, tags in texts]
    starts = [len(tokens.prompt_ids(words)) for words, _ in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    labels = torch.tensor(
        [[-100] * n + row[n:] + [-100] * (longest - len(row)) for row, n in zip(rows, starts, strict=True)]
    )
    model.train()
    for _ in range(steps):
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


# Windows that close within a prompt: over all layers or every other one, by true-or-false masks or added
# ones; logits that are scaled, or capped.
FAMILIES = {
    "llama": (LlamaConfig, LlamaForCausalLM, {}),
    "mistral": (MistralConfig, MistralForCausalLM, {"sliding_window": None}),
    "windowed mistral": (MistralConfig, MistralForCausalLM, {"sliding_window": 24}),
    "gemma2": (
        Gemma2Config,
        Gemma2ForCausalLM,
        {"sliding_window": 24, "head_dim": 8, "query_pre_attn_scalar": 8, "final_logit_softcapping": 2.0},
    ),
    "cohere2": (Cohere2Config, Cohere2ForCausalLM, {"sliding_window": 24, "logit_scale": 4.0}),
}


@cache
def tiny(family, schooled=False, tag_tokens=False, leading_space=False, seed=0):
    """Make a tiny model in float64: what is read together must not change a choice."""
    style = PromptStyle(("Chemical", "Disease"), {"Disease": "D"}, tag_tokens, leading_space)
    prompts = Prompts(style)
    tokenizer = (sentence_piece if "mistral" in family else byte_level)(prompts)
    if tag_tokens:
        tokenizer.add_tokens(added_tokens(prompts))
    tokens = Tokens(tokenizer, prompts)
    torch.manual_seed(seed)
    config_type, model_type, own = FAMILIES[family]
    config = config_type(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.1 if schooled else 0.5,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **own,
    )
    model = model_type(config)
    if schooled:
        school(model, tokens, steps=50)
    model = model.double()
    return Llm(Reader(model), tokens, model, tokenizer)


KINDS = {
    "random llama": ("llama", False),
    "random mistral": ("mistral", False),
    "random mistral with a window": ("windowed mistral", False),
    "random gemma 2": ("gemma2", False),
    "random cohere 2": ("cohere2", False),
    "schooled llama": ("llama", True),
    "schooled mistral": ("mistral", True),
    "schooled llama, tag tokens": ("llama", True, True),
    "schooled mistral, tag tokens and leading space": ("mistral", True, True, True),
}


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """For models this small a second thread is a burden, and on a busy machine a heavy one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=KINDS)
def llm(request):
    """Each of the tiny models."""
    return tiny(*KINDS[request.param])
