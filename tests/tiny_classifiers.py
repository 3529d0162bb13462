"""Tiny random token classifiers of each architecture, as folders that their makers would publish."""

from pathlib import Path
from typing import Any

import torch
from tokenizers_as_published import write_tokenizer
from transformers import AutoConfig, AutoModelForTokenClassification

TAGS = ["O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease"]

_SIZES = {
    **dict.fromkeys(("hidden_size", "dim", "embedding_size", "d_model", "n_embd"), 32),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff", "d_inner", "n_inner"), 64),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "num_layers", "n_layer", "num_key_value_heads"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "num_heads", "n_head"), 4),
    **dict.fromkeys(("d_kv", "d_head"), 8),
}
_DISENTANGLED = {"relative_attention": True, "position_biased_input": False}
_DEBERTA_V2 = {
    **_DISENTANGLED,
    "pos_att_type": ["p2c", "c2p"],
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_buckets": 16,
}

# Of each architecture the tokenizer (see tokenizers_as_published), the model type and what is its own.
_FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("bert", "bert", {}),
    "roberta-514": ("roberta", "roberta", {}),
    "roberta-512": ("roberta", "roberta", {"max_position_embeddings": 512}),
    "roberta-77": ("roberta", "roberta", {"max_position_embeddings": 77}),
    "distilbert": ("distilbert", "distilbert", {}),
    "electra": ("electra", "electra", {}),
    "deberta-v1": ("deberta", "deberta", {**_DISENTANGLED, "pos_att_type": ["c2p", "p2c"]}),
    "deberta-v2": ("deberta-v2", "deberta-v2", {**_DEBERTA_V2, "conv_kernel_size": 3, "conv_act": "gelu"}),
    "deberta-v3": ("deberta-v2", "deberta-v2", _DEBERTA_V2),
    "xlm-roberta": ("xlm-roberta", "xlm-roberta", {}),
    "albert": ("albert", "albert", {}),
    "mpnet": ("mpnet", "mpnet", {}),
    "camembert": ("camembert", "camembert", {}),
    "big_bird": ("big_bird", "big_bird", {"attention_type": "block_sparse"}),
    "longformer": ("longformer", "longformer", {"attention_window": [8, 8]}),
    "modernbert": ("modernbert", "modernbert", {"local_attention": 8, "global_attn_every_n_layers": 2}),
    "megatron-bert": ("bert", "megatron-bert", {}),
    "roformer": ("bert", "roformer", {}),
    "convbert": ("bert", "convbert", {}),
    "funnel": ("funnel", "funnel", {"block_sizes": [1, 1], "num_decoder_layers": 1}),
    "xlnet": ("xlnet", "xlnet", {}),
    "t5": ("t5", "t5", {}),
    "gpt2": ("gpt2", "gpt2", {}),
    "llama-2": ("llama-2", "mistral", {}),
    "llama-3": ("llama-3", "llama", {}),
    "qwen2": ("qwen2", "qwen2", {}),
}
_NEITHER = {
    # They count layers by blocks, and positions not at all.
    "funnel": ("num_hidden_layers", "num_layers", "n_layers", "n_layer"),
    "xlnet": ("max_position_embeddings",),
}
ARCHITECTURES = tuple(_FORMS)
WITHOUT_PADDING = ("gpt2", "llama-2", "llama-3")
WITH_TOKEN_TYPES = ("funnel", "xlnet")
"""Their tokenizers give special tokens a type that is not 0; later versions of transformers leave it out."""


def write_classifier(architecture: str, folder: Path, **changes: Any) -> Path:
    """Write the folder of a classifier with random weights of two small layers; return it.

    `changes` are of its config. GPT-2 and Llama have no padding, and no tokenizer knows a longest text.
    """
    tokenizer_form, model_type, own = _FORMS[architecture]
    more: dict[str, Any] = {"pad_token": None} if architecture in WITHOUT_PADDING else {}
    if architecture in WITH_TOKEN_TYPES:
        more["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = write_tokenizer(tokenizer_form, folder, model_max_length=int(1e30), **more)
    options = {"max_position_embeddings": 514, **_SIZES, **own, **changes}
    for name in _NEITHER.get(architecture, ()):
        del options[name]
    torch.manual_seed(1)
    torch.set_num_threads(1)
    config = AutoConfig.for_model(
        model_type,
        vocab_size=len(tokenizer),
        # Large random weights, so that the tags differ from word to word.
        initializer_range=0.5,
        id2label=dict(enumerate(TAGS)),
        label2id={tag: i for i, tag in enumerate(TAGS)},
        pad_token_id=None if architecture in WITHOUT_PADDING else tokenizer.pad_token_id,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")),
        **options,
    )
    AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
    return folder
