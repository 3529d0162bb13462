"""Architectures of the hub, each tried as a twin: a second or less, and no weights."""

import pytest
from transformers import AutoConfig

from raybio.errors import ModelError
from raybio.taggers.decoding.readable import check_readable

CONV = {"layer_types": ["conv", "full_attention"] * 8, "num_hidden_layers": 16}
READABLE = {
    "llama": {},
    "mistral": {"sliding_window": 4096},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 2},
    "qwen3": {},
    "gemma": {},
    "gemma2": {},
    "gemma3_text": {},
    "phi3": {"sliding_window": 2047},
    "gpt_oss": {},
    "granite": {},
    "cohere2": {},
    "gpt2": {},
    "gpt_neox": {},
    "bloom": {},
    "opt": {},
    "llama4_text": {},
}
REFUSED = {"mpt": {}, "mamba": {}, "lfm2": CONV, "jamba": {}, "recurrent_gemma": {}}


@pytest.mark.parametrize("name", READABLE)
def test_read_in_parts_as_at_once(name):
    check_readable(AutoConfig.for_model(name, **READABLE[name]), name)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name):
    with pytest.raises(ModelError, match=f"here is a {name} model, .* cannot write tags here: .* Name a "):
        check_readable(AutoConfig.for_model(name, **REFUSED[name]), "here")


def test_a_model_that_cannot_be_made_small_says_why():
    broken = AutoConfig.for_model("nemotron")  # its own defaults cannot be built
    with pytest.raises(ModelError, match="no small nemotron model can be built"):
        check_readable(broken, "here")
