import pytest
import torch
from torch import nn
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    NanoChatConfig,
    NanoChatForCausalLM,
)

from raybio.errors import ModelError
from raybio.taggers.decoding.head import Head
from raybio.taggers.decoding.reader import Reader

SMALL = {
    "vocab_size": 16,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 200,
    "initializer_range": 0.5,
}
MODELS = {
    "plain": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    "Gemma 2": lambda: Gemma2ForCausalLM(Gemma2Config(**SMALL, final_logit_softcapping=0.5)),
    "Gemma 3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SMALL, final_logit_softcapping=3.0)),
    "Granite": lambda: GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=8.0)),
    "Cohere": lambda: CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.25)),
    "NanoChat": lambda: NanoChatForCausalLM(NanoChatConfig(**SMALL, final_logit_softcapping=1.5)),
}
IDS = torch.tensor([[1, 5, 3, 2, 9, 4]])


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]().double().eval()


@pytest.fixture
def whole(model):
    """The logits that the model itself gives for `IDS`."""
    with torch.inference_mode():
        return model(input_ids=IDS).logits[0]


@pytest.fixture
def hidden(model):
    with torch.inference_mode():
        return model.get_decoder()(input_ids=IDS).last_hidden_state[0]


def test_logits_are_the_models_own(model, hidden, whole):
    torch.testing.assert_close(Reader(model).head.logits(hidden), whole)


@pytest.mark.parametrize("plain", [True, False])
def test_choices_have_the_logits_they_have_among_all(model, hidden, whole, plain, monkeypatch):
    monkeypatch.setattr("raybio.taggers.decoding.head._LOGITS_AT_ONCE", 48)
    choices = torch.randint(0, 16, (len(hidden), 3))
    head = Reader(model).head
    if not plain:  # an adapter or a quantized layer
        head.layer = nn.Sequential(head.layer)
    torch.testing.assert_close(head.logits_of(hidden, choices), whole.gather(1, choices))


def test_the_likeliest_is_the_argmax_with_its_probability_however_it_is_cut(
    model, hidden, whole, monkeypatch
):
    monkeypatch.setattr("raybio.taggers.decoding.head._LOGITS_AT_ONCE", 48)
    best, tokens = whole.softmax(-1).max(-1)
    found = Reader(model).head.likeliest(hidden)
    assert [token for token, _ in found] == tokens.tolist()
    assert [p for _, p in found] == pytest.approx(best.tolist())


def test_logits_made_in_another_way_are_refused(monkeypatch):
    monkeypatch.setattr("raybio.taggers.decoding.head._CAPS", ())
    with pytest.raises(ModelError, match="Gemma2ForCausalLM makes its logits in a way"):
        Reader(MODELS["Gemma 2"]())


def test_one_architecture_multiplies_by_what_others_divide_by():
    layer, hidden = nn.Linear(32, 16, bias=False), torch.randn(1, 32)
    granite = Head(layer, GraniteConfig(**SMALL, logits_scaling=2.0)).logits(hidden)
    config = GraniteConfig(**SMALL, logits_scaling=2.0)
    config.model_type = "hyperclovax"
    torch.testing.assert_close(Head(layer, config).logits(hidden), 4 * granite)
