"""Models for unit tests: the real tokenizer of MiniLM, and a tiny classifier with random weights."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification

from raybio.entities import Sentence
from raybio.iob2 import tag_set
from raybio.model_sources import model_folder
from raybio.taggers.calibration import write_calibration
from raybio.taggers.encoder import EncoderCard

LABELS = ["Chemical", "Disease"]
MAX_TOKENS = 64
OVERLAP = 16


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
    folder = tmp_path_factory.mktemp("tiny_encoder")
    tags = tag_set(LABELS)
    # For a model this small a second thread is a burden, and on a busy machine a heavy one.
    torch.set_num_threads(1)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
        # Large random weights, so that the tags differ from word to word.
        initializer_range=0.4,
        id2label=dict(enumerate(tags)),
        label2id={tag: i for i, tag in enumerate(tags)},
    )
    BertForTokenClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    EncoderCard(LABELS, MAX_TOKENS, OVERLAP, "all", "mean").write(folder)
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
