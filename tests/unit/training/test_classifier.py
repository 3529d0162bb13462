"""A head for the labels to be learned, on encoders and on LLMs: kept where it has them, else new."""

import pytest
import torch
from tiny_llama import tiny_llama_config
from transformers import AutoModelForTokenClassification

from raybio.config import CorpusSection, TrainDecoderConfig
from raybio.config.train_decoder import LoraSection, QuantizationSection
from raybio.iob2 import tag_set
from raybio.training.adapter import adapted_model
from raybio.training.classifier import new_head_line, other_tags, read_classifier
from raybio.training.recipes import AdapterRecipe

OWN = ["Chemical", "Disease"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """The folder of an LLM that has learned to tag chemicals and diseases."""
    folder = tmp_path_factory.mktemp("llama")
    config = tiny_llama_config()
    config.update({"id2label": dict(enumerate(tag_set(OWN)))})
    AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("labels", "new"), [(OWN, False), (["Disease"], True), (["Chemical", "Gene"], True)])
def test_a_head_of_other_labels_is_new(tiny_encoder, llama, minilm, labels, new):
    for folder in (tiny_encoder, llama):
        assert bool(other_tags(folder, labels)) is new
        line = new_head_line(folder, labels)
        assert (line is not None) is new and (not line or "B-Disease" in line)
    assert not other_tags(minilm, labels)  # it has no head at all


@pytest.mark.parametrize(("labels", "kept"), [(OWN, True), (["Drug", "Illness"], False)])
def test_an_encoders_head_is_kept_for_its_own_labels_alone(tiny_encoder, labels, kept):
    learned = AutoModelForTokenClassification.from_pretrained(tiny_encoder).classifier.weight
    head = read_classifier(tiny_encoder, labels).classifier
    assert torch.equal(head.weight, learned) is kept


@pytest.mark.parametrize("bits", [4, 32])
@pytest.mark.parametrize(("labels", "kept"), [(OWN, True), (["Drug", "Illness"], False)])
def test_so_is_that_of_an_llm_under_its_adapter(llama, labels, kept, bits):
    config = TrainDecoderConfig(
        job="train-decoder",
        head="tags",
        model=str(llama),
        corpus=CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv"),
        lora=LoraSection(r=4, target_modules=("q_proj",)),
        quantization=QuantizationSection(bits=bits),
    )
    recipe = AdapterRecipe.of(config)
    model = adapted_model(recipe, llama, labels, {}, torch.device("cpu"), torch.float32)
    learned = AutoModelForTokenClassification.from_pretrained(llama).score.weight
    trained = model.base_model.model.score.modules_to_save["default"].weight
    assert torch.equal(trained.float(), learned.float()) is kept
