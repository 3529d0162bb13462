"""Model folders with random weights, tiny or at the full size of models that only a network could bring."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tiny_bert import write_tiny_bert
from tiny_llama import tiny_llama_config, write_byte_level
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from gpu.setting import Setting
from raybio.errors import RaybioError
from raybio.model_sources import base_folder
from raybio.prompts import PromptStyle
from raybio.taggers.decoder import DecoderCard
from raybio.training.shapes import KNOWN

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
_SHARD = "4GB"
_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "initializer_range": 0.02,
}
"""BERT-large's sizes."""

_LEARNED = 8000
"""Tokens that a stand-in tokenizer learns from the corpus: so many that words have about as many as usual."""


def llm_shape(setting: Setting) -> LlamaConfig:
    """Return the shape of Llama-3.1-8B, or of a tiny one whose logits are as far apart."""
    if not setting.small:
        return KNOWN[LLAMA]
    config = tiny_llama_config(tied=False)
    config.initializer_range = 0.2
    return config


def random_llm(setting: Setting, name: str, shape: LlamaConfig) -> Path:
    """Write a causal model of this shape, with a tokenizer and a card that says how it is prompted."""
    folder = setting.scratch / name
    if folder.is_dir():
        return folder
    tokenizer = write_tokenizer(folder, setting.texts, shape.vocab_size)
    shape.eos_token_id = shape.pad_token_id = tokenizer.eos_token_id
    shape.bos_token_id = None
    torch.manual_seed(0)
    with torch.device(setting.device):
        dtype = torch.float32 if setting.small else torch.bfloat16
        model = AutoModelForCausalLM.from_config(shape, dtype=dtype)
    model.save_pretrained(folder, max_shard_size=_SHARD)
    decoder_card(setting, str(folder)).write(folder)
    return folder


def decoder_card(setting: Setting, base: str) -> DecoderCard:
    """Return the card of an LLM that was trained on this setting's corpus."""
    return DecoderCard(
        labels=list(setting.labels), base_model=base, style=PromptStyle(setting.labels), max_length=1024
    )


def write_tokenizer(folder: Path, texts: list[str], size: int) -> PreTrainedTokenizerFast:
    """Write a byte-level BPE with exactly `size` tokens: those learned from `texts`, then ones never met."""
    learned = write_byte_level(folder, texts, min(size, _LEARNED))
    whole = json.loads(learned.backend_tokenizer.to_str())
    words = whole["model"]["vocab"]
    words |= {f"unused{number}": number for number in range(len(words), size)}
    tokenizer = Tokenizer(models.BPE(words, [tuple(pair) for pair in whole["model"]["merges"]]))
    tokenizer.pre_tokenizer = learned.backend_tokenizer.pre_tokenizer
    tokenizer.decoder = learned.backend_tokenizer.decoder
    end = learned.eos_token
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, pad_token=end)
    fast.save_pretrained(folder)
    return fast


def random_encoder(setting: Setting) -> Path:
    """Write a token classifier: a tiny BERT, or one of BERT-large's shape."""
    folder = setting.scratch / "random-encoder"
    if not folder.is_dir():
        tokenizer = write_byte_level(folder, setting.texts, 600 if setting.small else _LEARNED)
        write_tiny_bert(folder, tokenizer, setting.labels, 128, 16, **({} if setting.small else _LARGE))
    return folder


def encoder_base(setting: Setting) -> Path:
    """Return the encoder to start from: the given one, the bundled one if there is one, or a random one."""
    if setting.encoder or setting.small:
        return setting.encoder or random_encoder(setting)
    try:
        return base_folder("bundled:minilm")
    except RaybioError:
        return random_encoder(setting)
