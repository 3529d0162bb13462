"""Prepacked layers compute what plain ones do, and bf16 is prepacked on a fast CPU only."""

import pytest
import torch
from tiny_llama import tiny_llama_config
from torch import nn
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DebertaV2ForTokenClassification,
    LlamaForCausalLM,
)

from raybio.taggers import prepacked
from raybio.taggers.devices import computes_bf16
from raybio.taggers.prepacked import PrepackedLinear, prepack

fast = pytest.mark.skipif(
    not computes_bf16(torch.device("cpu")), reason="this processor does not multiply bf16"
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
    prepack(model.get_decoder(), torch.bfloat16)
    assert packed_layers(model) == 2 * 7
    assert type(model.get_output_embeddings()) is nn.Linear
    torch.testing.assert_close(model(ids).logits, before, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("family", [BertForTokenClassification, DebertaV2ForTokenClassification])
@torch.inference_mode()
def test_an_encoder_in_fp32_gives_the_same_logits_with_its_gelu_in_the_product(family):
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = family(family.config_class(**sizes, intermediate_size=64)).eval()
    ids = torch.arange(40).reshape(2, 20)
    before = model(ids).logits
    prepack(model, torch.float32, torch.bfloat16)
    intermediate = [module for module in model.modules() if hasattr(module, "intermediate_act_fn")]
    assert len(intermediate) == 2
    for module in intermediate:
        assert isinstance(module.dense, PrepackedLinear) and isinstance(
            module.intermediate_act_fn, nn.Identity
        )
    torch.testing.assert_close(model(ids).logits, before)


@torch.inference_mode()
def test_another_activation_stays_as_it_is():
    sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, intermediate_size=64, hidden_act="gelu_new")
    model = BertForTokenClassification(config).eval()
    before = model(torch.arange(20)[None]).logits
    prepack(model, torch.float32)
    assert packed_layers(model) == 7
    torch.testing.assert_close(model(torch.arange(20)[None]).logits, before)


def test_what_is_not_named_stays_as_it_is():
    model = LlamaForCausalLM(tiny_llama_config())
    prepack(model.get_decoder(), torch.bfloat16)
    assert packed_layers(model) == 0


def test_a_slow_processor_keeps_plain_layers(monkeypatch):
    monkeypatch.setattr(prepacked, "computes_bf16", lambda device: False)
    model = LlamaForCausalLM(tiny_llama_config()).to(torch.bfloat16)
    prepack(model.get_decoder(), torch.bfloat16)
    assert packed_layers(model) == 0
