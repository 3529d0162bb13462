"""Prepacked layers compute what plain ones do, and only bf16 on a fast CPU is prepacked."""

import pytest
import torch
from tiny_llama import tiny_llama_config
from torch import nn
from transformers import LlamaForCausalLM

from raybio.taggers import prepacked
from raybio.taggers.devices import computes_bf16
from raybio.taggers.prepacked import PrepackedLinear, prepack

fast = pytest.mark.skipif(
    not computes_bf16(torch.device("cpu")), reason="this processor does not multiply bf16 fast"
)


def packed_layers(model: nn.Module) -> int:
    return sum(isinstance(module, PrepackedLinear) for module in model.modules())


@fast
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (3, 200)])
@torch.inference_mode()
def test_it_computes_what_the_plain_layer_does(bias, shape):
    linear = nn.Linear(96, 160, bias=bias, dtype=torch.bfloat16)
    hidden = torch.randn(*shape, 96, dtype=torch.bfloat16)
    torch.testing.assert_close(PrepackedLinear(linear)(hidden), linear(hidden))


@fast
@torch.inference_mode()
def test_a_model_in_bf16_gives_the_same_logits():
    torch.manual_seed(0)
    model = LlamaForCausalLM(tiny_llama_config()).to(torch.bfloat16).eval()
    ids = torch.arange(40)[None]
    before = model(ids).logits
    prepack(model.get_decoder())
    assert packed_layers(model) == 2 * 7
    assert type(model.get_output_embeddings()) is nn.Linear
    torch.testing.assert_close(model(ids).logits, before, rtol=0.05, atol=0.05)


def test_fp32_stays_as_it_is():
    model = LlamaForCausalLM(tiny_llama_config())
    prepack(model.get_decoder())
    assert packed_layers(model) == 0


def test_a_slow_processor_keeps_plain_layers(monkeypatch):
    monkeypatch.setattr(prepacked, "computes_bf16", lambda device: False)
    model = LlamaForCausalLM(tiny_llama_config()).to(torch.bfloat16)
    prepack(model.get_decoder())
    assert packed_layers(model) == 0
