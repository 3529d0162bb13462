"""What an encoder reads on, and what its head is asked of."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from raybio.config import AdaptEncoderConfig, load_config
from raybio.errors import ConfigError
from raybio.training.adaptation import _HiddenPlaces, _sentences
from raybio.training.steps import IGNORED

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (BertConfig, BertForMaskedLM),
        (RobertaConfig, RobertaForMaskedLM),
        (DebertaV2Config, DebertaV2ForMaskedLM),
    ],
)
def test_the_head_is_asked_of_hidden_places_alone(config, kind):
    """As the whole model answers, of any architecture; gradients reach its lowest weights."""
    torch.manual_seed(1)
    model = kind(config(**SMALL)).eval()
    ids, mask = torch.randint(5, 50, (3, 12)), torch.ones(3, 12, dtype=torch.long)
    labels = torch.where(torch.rand(3, 12) < 0.3, ids, IGNORED)
    whole = model(input_ids=ids, attention_mask=mask).logits[labels != IGNORED]
    asked = _HiddenPlaces(model)(ids, mask, labels)
    assert asked.shape == (int((labels != IGNORED).sum()), 50)
    torch.testing.assert_close(asked, whole)
    asked.sum().backward()
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_a_batch_that_teaches_nothing_has_a_gradient_of_nothing():
    model = _HiddenPlaces(BertForMaskedLM(BertConfig(**SMALL)))
    ids = torch.ones(1, 2, dtype=torch.long)
    logits = model(ids, ids, torch.full((1, 2), IGNORED))
    torch.nn.functional.cross_entropy(logits, torch.empty(0, dtype=torch.long), reduction="sum").backward()
    # None at all would leave the other workers of DDP waiting.
    assert all(weight.grad is not None and not weight.grad.any() for weight in model.parameters())


def test_documents_that_are_to_stay_unseen_are_left_out_and_reported(tmp_path):
    scored = "We saw that high doses of naloxone reversed the effect of clonidine in all rats."
    (tmp_path / "test.txt").write_text(scored)
    (tmp_path / "text.pubtator").write_text(
        f"1|t|Something else.\n1|a|Nothing of it.\n\n2|t|Rats.\n2|a|Before. {scored} After.\n"
        "2\t0\t4\tRats\tSpecies\n\n"
    )
    config = AdaptEncoderConfig(
        job="adapt-encoder",
        model="bundled:minilm",
        text={
            "files": [str(tmp_path / "text.pubtator")],
            "decontaminate_against": [str(tmp_path / "test.txt")],
        },
    )
    left_out = []
    sentences = list(_sentences(config.text, left_out))
    assert [" ".join(one.words) for one in sentences] == ["Something else .", "Nothing of it ."]
    assert all(one.gold is None for one in sentences)
    assert left_out == [
        {
            "file": str(tmp_path / "text.pubtator"),
            "document": "2",
            "passage": "we saw that high doses of naloxone reversed the effect of clonidine in",
        }
    ]


def test_all_faults_of_a_config_are_reported_at_once(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "job: adapt-encoder\nmodel: bundled:minilm\ntext:\n  file: [a.txt]\n  validation_fraction: 1\n"
        "training:\n  mlm_probability: 0\n  max_batch_tokens: 128\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    reported = str(caught.value)
    for part in (
        "did you mean 'files'",
        "text.validation_fraction",
        "training.mlm_probability",
        "at least max_length",
    ):
        assert part in reported
