from contextlib import nullcontext

import pytest
from torch import nn
from transformers import AutoConfig, AutoModelForTokenClassification, BertConfig, DebertaV2Config, GPT2Config

from raybio.config import CorpusSection, TrainEncoderConfig
from raybio.training import encoder, trainer
from raybio.training.encoder import _dropouts, train_encoder


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


@pytest.mark.parametrize(("label", "new"), [("Chemical", False), ("Gene", True)])
def test_that_a_head_is_new_is_said_before_workers_start(tiny_encoder, tmp_path, monkeypatch, label, new):
    corpus, said = tmp_path / "corpus.tsv", []
    corpus.write_text(f"Naloxone\tB-{label}\nreverses\tO\nhypotension\tB-Disease\n\n")
    files = CorpusSection(train=str(corpus), dev=str(corpus), test=str(corpus))
    given = {"model": str(tiny_encoder), "corpus": files, "output": str(tmp_path / "runs"), "name": "mine"}
    monkeypatch.setattr(trainer, "connected", nullcontext)
    monkeypatch.setattr(trainer, "settle_data", lambda: None)
    monkeypatch.setattr(encoder, "fit", lambda *_, **__: said.append("workers start"))
    monkeypatch.setattr(encoder, "scored_model", lambda *_: None)
    train_encoder(TrainEncoderConfig(job="train-encoder", **given), said.append)
    assert "workers start" in said
    other = "the model has other tags (O, B-Chemical, I-Chemical, B-Disease, I-Disease): its head is new"
    assert any(other in line for line in said) is new
    assert (other in (tmp_path / "runs" / "mine" / "log.txt").read_text()) is new
