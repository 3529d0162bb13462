"""Architectures with scaled or capped logits or with windows: every mode gives its reference, in fp32.

Windows are shorter than a prompt, so that they close within it.
"""

import pytest
import torch
from tiny_llama import write_byte_level
from transformers import AutoConfig, AutoModelForCausalLM

from raybio.iob2 import tag_set
from raybio.prompts import Prompts, PromptStyle
from raybio.taggers.decoding import MODES, Reader, Tokens

WORDS = [
    ["Naloxone", "reverses", "hypotension", "in", "rats", "."],
    ["acute", "renal", "failure", "after", "cisplatin"],
]
LABELS = ("Chemical", "Disease")
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 1024,
    "initializer_range": 0.5,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
MIXED = ["sliding_attention", "full_attention"]
ARCHITECTURES = {
    "gemma2": {"sliding_window": 24, "query_pre_attn_scalar": 8, "final_logit_softcapping": 2.0},
    "gemma3_text": {"sliding_window": 24, "query_pre_attn_scalar": 8, "final_logit_softcapping": 2.0},
    "granite": {"logits_scaling": 8.0},
    "cohere": {"logit_scale": 0.25},
    "cohere2": {"sliding_window": 24, "logit_scale": 4.0, "layer_types": MIXED},
    "gpt_oss": {"sliding_window": 24, "layer_types": MIXED, "num_local_experts": 4, "num_experts_per_tok": 2},
    "mistral": {"sliding_window": 24},
    "phi3": {"sliding_window": 24},
    "qwen2": {"sliding_window": 24, "use_sliding_window": True, "max_window_layers": 0},
}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    prompts = Prompts(PromptStyle(LABELS))
    lines = [text for words in WORDS for text in (" ".join(words), prompts.prompt(words))]
    return Tokens(write_byte_level(tmp_path_factory.mktemp("tokenizer"), lines), prompts)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request, tokens):
    torch.manual_seed(0)
    config = AutoConfig.for_model(request.param, vocab_size=600, **SIZES, **ARCHITECTURES[request.param])
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def drafts(seed):
    """Return a random draft of each sentence's tags; without a seed, one that names no entity."""
    if seed is None:
        return [["O"] * len(words) for words in WORDS]
    generator = torch.Generator().manual_seed(seed)
    tags = [tag for tag in tag_set(LABELS) if not tag.startswith("I-")]
    return [
        [tags[i] for i in torch.randint(len(tags), (len(words),), generator=generator)] for words in WORDS
    ]


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize(
    ("mode", "reference"), [("verified-tags", "forced-tags"), ("verified-text", "greedy")]
)
def test_a_verified_mode_is_its_reference(model, tokens, mode, reference, seed):
    limits = [24] * len(WORDS) if reference == "greedy" else None
    expected, found = (
        MODES[name](Reader(model), tokens, WORDS, drafts(seed if name == mode else None), limits)
        for name in (reference, mode)
    )
    assert [answer.token_ids for answer in found] == [answer.token_ids for answer in expected]
    assert [answer.tags for answer in found] == [answer.tags for answer in expected]


def test_greedy_is_what_transformers_itself_generates(model, tokens):
    found = MODES["greedy"](Reader(model), tokens, WORDS, drafts(None), [24] * len(WORDS))
    for words, answer in zip(WORDS, found, strict=True):
        ids = torch.tensor([tokens.prompt_ids(words)])
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=24,
            do_sample=False,
            eos_token_id=sorted(tokens.eos_ids),
            pad_token_id=0,
        )
        assert tuple(out[0, ids.shape[1] :].tolist()) == answer.token_ids
