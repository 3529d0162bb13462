"""A BERT of two thin layers with random weights, as a folder that tags."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerBase

from raybio.iob2 import tag_set
from raybio.taggers.encoder_card import EncoderCard


def write_tiny_bert(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[str],
    max_length: int,
    overlap: int,
    **sizes: Any,
) -> Path:
    """Write a model folder as training leaves it: the model, `tokenizer` and a card; return it.

    `sizes` replace the tiny ones of its Hugging Face config.
    """
    tags = tag_set(labels)
    # For a model this small a second thread is a burden, and on a busy machine a heavy one.
    torch.set_num_threads(1)
    torch.manual_seed(3)
    tiny: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "initializer_range": 0.4,  # large random weights, so that the tags differ from word to word
    }
    config = BertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=max_length,
        id2label=dict(enumerate(tags)),
        label2id={tag: i for i, tag in enumerate(tags)},
        **{**tiny, **sizes},
    )
    BertForTokenClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    EncoderCard(list(labels), max_length, overlap, "all", "mean").write(folder)
    return folder
