"""Models for unit tests: real tokenizers, and tiny models with random weights."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_bert import write_tiny_bert
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from raybio.entities import Sentence
from raybio.model_sources import model_folder
from raybio.prompts import PromptStyle
from raybio.taggers.calibration import write_calibration
from raybio.taggers.decoder import DecoderCard

LABELS = ["Chemical", "Disease"]
MAX_TOKENS = 64
OVERLAP = 16


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """Leave the logger of all of raybio as it was: a worker that is tried here has it write lines of JSON."""
    whole = logging.getLogger("raybio")
    handlers, level, propagate = whole.handlers, whole.level, whole.propagate
    yield
    whole.handlers, whole.propagate = handlers, propagate
    whole.setLevel(level)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the MiniLM that comes with raybio."""
    return model_folder("bundled:minilm")


@pytest.fixture(scope="session")
def tokenizer(minilm):
    """MiniLM's own tokenizer."""
    return AutoTokenizer.from_pretrained(minilm)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory, tokenizer) -> Path:
    """A model folder as training leaves it: a random BERT of two small layers, with its card."""
    folder = write_tiny_bert(tmp_path_factory.mktemp("tiny_encoder"), tokenizer, LABELS, MAX_TOKENS, OVERLAP)
    words = [
        "Naloxone",
        "reverses",
        "the",
        "antihypertensive",
        "effect",
        "of",
        "clonidine",
        "in",
        "rats",
        ".",
    ]
    some = [(*words[i:], *words[:i]) for i in range(len(words))]
    long = tuple(words * 30)
    write_calibration(folder, [Sentence(str(i), one, (0,) * len(one)) for i, one in enumerate([*some, long])])
    return folder


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of the SmolLM2 that comes with raybio."""
    return model_folder("bundled:smollm2")


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory, smollm2) -> Path:
    """A causal model folder: a random Llama of two small layers with SmolLM2's tokenizer."""
    folder = tmp_path_factory.mktemp("tiny_llm")
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=1024,
        initializer_range=0.5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory, tiny_llm) -> Path:
    """A model folder as training leaves it: an adapter with random weights on `tiny_llm`, with its card."""
    folder = tmp_path_factory.mktemp("tiny_decoder")
    torch.manual_seed(6)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(LlamaForCausalLM.from_pretrained(tiny_llm), lora).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_llm).save_pretrained(folder)
    DecoderCard(LABELS, str(tiny_llm), PromptStyle(tuple(LABELS)), max_length=512).write(folder)
    return folder
