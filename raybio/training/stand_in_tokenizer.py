"""A tokenizer of a model's kind and vocabulary size, learned from a few sentences.

Where a model's own tokenizer is not at hand, this one cuts words into pieces much as it would: a small
learned vocabulary gives about as many pieces of a rare name, and words that never occur fill the rest.
"""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

_LEARNED = 4000
_LETTERS = string.ascii_letters + string.digits
_WORD_PIECE = ("bert", "distilbert", "electra", "megatron-bert", "mpnet", "convbert", "funnel", "roformer")
_UNIGRAM = ("deberta-v2", "xlm-roberta", "camembert", "albert", "big_bird", "xlnet")
_SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
_END = {"eos_token": "<|end|>", "pad_token": "<|end|>"}
_CHAT = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def stand_in_tokenizer(architecture: Any, texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer for a model of this Hugging Face config, learned from `texts`.

    WordPiece for BERT's kind, Unigram for DeBERTa-v3's, and byte-level BPE for all others.
    """
    size: int = architecture.vocab_size
    texts = [*texts, _LETTERS, _LETTERS[::-1]]  # each of them at a word's start and within
    learned = min(size, _LEARNED)
    if architecture.model_type in _WORD_PIECE:
        backend = Tokenizer(models.WordPiece(unk_token=_SPECIAL["unk_token"]))
        backend.normalizer = normalizers.BertNormalizer(lowercase=False)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        options: dict[str, Any] = {"vocab_size": learned, "special_tokens": [*_SPECIAL.values()]}
        backend.train_from_iterator(texts, trainers.WordPieceTrainer(show_progress=False, **options))
        return _finished(backend, size, _SPECIAL)
    if architecture.model_type in _UNIGRAM:
        backend = Tokenizer(models.Unigram())
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        options = {"vocab_size": learned, "special_tokens": [*_SPECIAL.values()]}
        options["unk_token"] = _SPECIAL["unk_token"]
        backend.train_from_iterator(texts, trainers.UnigramTrainer(show_progress=False, **options))
        return _finished(backend, size, _SPECIAL)
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    options = {"vocab_size": learned, "special_tokens": [_END["eos_token"]]}
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False, **options)
    backend.train_from_iterator(texts, trainer)
    return _finished(backend, size, _END)


def _finished(backend: Tokenizer, size: int, special: dict[str, str]) -> PreTrainedTokenizerFast:
    """Return the tokenizer with words up to `size` and, for encoders, special tokens around a text."""
    written = json.loads(backend.to_str())
    vocabulary = written["model"]["vocab"]
    if isinstance(vocabulary, dict):
        vocabulary |= {f"<filler {number}>": number for number in range(len(vocabulary), size)}
    else:
        vocabulary += [[f"<filler {number}>", -100.0] for number in range(len(vocabulary), size)]
    whole = Tokenizer.from_str(json.dumps(written))
    if "cls_token" in special:
        around = [(token, whole.token_to_id(token)) for token in (special["cls_token"], special["sep_token"])]
        whole.post_processor = processors.TemplateProcessing(
            single=f"{around[0][0]} $A {around[1][0]}", special_tokens=around
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=whole, **special)
    fast.chat_template = _CHAT
    return fast
