"""A Llama of two thin layers with random weights, and a tokenizer to go with it."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_END = "<|end|>"


def tiny_llama_config(vocabulary: int = 600, tied: bool = True) -> LlamaConfig:
    """Return the shape: 64 numbers wide, at most 1,024 tokens long."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )


def write_tiny_llama(folder: Path, texts: list[str], tied: bool = True) -> Path:
    """Write a model folder whose byte-level BPE is learned from `texts`; return it."""
    tokenizer = write_byte_level(folder, texts)
    torch.manual_seed(0)
    LlamaForCausalLM(tiny_llama_config(len(tokenizer), tied)).save_pretrained(folder)
    return folder


def write_byte_level(folder: Path, texts: list[str], vocabulary: int = 600) -> PreTrainedTokenizerFast:
    """Write a byte-level BPE of at most `vocabulary` tokens, learned from `texts`, to a folder; return it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[_END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, pad_token=_END)
    fast.save_pretrained(folder)
    return fast
