import pytest
from torch import nn
from transformers import AutoConfig, AutoModelForTokenClassification, BertConfig, DebertaV2Config, GPT2Config

from raybio.training.encoder import _dropouts


def test_one_dropout_is_set_everywhere(tiny_encoder):
    options = _dropouts(AutoConfig.from_pretrained(tiny_encoder), 0.25)
    model = AutoModelForTokenClassification.from_pretrained(tiny_encoder, **options)
    rates = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.25}
    assert model.config.attention_probs_dropout_prob == 0.25


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        (BertConfig, {"hidden_dropout_prob", "attention_probs_dropout_prob"}),
        (DebertaV2Config, {"hidden_dropout_prob", "attention_probs_dropout_prob"}),
        (GPT2Config, {"resid_pdrop", "embd_pdrop", "attn_pdrop"}),
    ],
)
def test_whatever_an_architecture_calls_them(architecture, names):
    options = _dropouts(architecture(), 0.0)
    assert names <= set(options)
    assert set(options.values()) == {0.0}


def test_without_a_wish_the_model_keeps_its_own():
    assert _dropouts(BertConfig(), None) == {}
