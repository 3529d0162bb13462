"""The study's six models, built on torch's meta device: no weights, no network."""

import pytest

from raybio.config import CorpusSection, TrainDecoderConfig
from raybio.errors import ModelError
from raybio.training.adapter_shapes import count_parameters
from raybio.training.recipes import AdapterRecipe
from raybio.training.shapes import KNOWN, classifier_parameters, shape_of

ENCODERS = {
    "google-bert/bert-large-uncased": 334_092_288,
    "google-bert/bert-large-cased": 332_529_664,
    "microsoft/BiomedNLP-BiomedBERT-large-uncased-abstract": 334_092_288,
    "microsoft/deberta-v3-large": 434_012_160,
}
DECODERS = {
    "mistralai/Mistral-7B-Instruct-v0.3": (7_248_023_552, 340_262_912),
    "meta-llama/Llama-3.1-8B-Instruct": (8_030_261_248, 352_485_376),
}


def test_every_known_shape_is_asserted_here():
    assert set(KNOWN) == {*ENCODERS, *DECODERS}


@pytest.mark.parametrize(("model", "parameters"), ENCODERS.items())
def test_an_encoder_of_the_study_has_the_parameters_it_has(model, parameters):
    """Poolers are not counted: a token classifier has none. The study prints 336M and 435M."""
    assert classifier_parameters(shape_of(model)) == parameters


@pytest.mark.parametrize(("model", "parameters"), DECODERS.items())
def test_an_llm_of_the_study_has_the_parameters_it_has(model, parameters):
    files = CorpusSection(train="a.tsv", dev="b.tsv", test="c.tsv")
    config = TrainDecoderConfig(job="train-decoder", model=model, corpus=files)
    sizes = count_parameters(AdapterRecipe.of(config), shape_of(model), ["Chemical"])
    assert (sizes.base, sizes.learning) == parameters
    assert sizes.quantizable == 6_979_321_856


def test_other_models_are_read_where_they_are(tiny_encoder, tmp_path):
    assert shape_of(str(tiny_encoder)).hidden_size == 32
    with pytest.raises(ModelError):
        shape_of(str(tmp_path))


def test_where_the_hub_does_not_answer_its_cache_is_asked_at_once_and_the_line_says_so(monkeypatch):
    asked = {}

    def read(source, **options):
        asked.update(options)
        raise OSError("nothing of that name")

    monkeypatch.setattr("raybio.training.shapes.AutoConfig.from_pretrained", read)
    monkeypatch.setattr("raybio.training.shapes.hub_answers", lambda: False)
    with pytest.raises(ModelError, match=r"^no/such is no model .*the Hugging Face hub does not answer"):
        shape_of("no/such")
    assert asked["local_files_only"]
    monkeypatch.setattr("raybio.training.shapes.hub_answers", lambda: True)
    with pytest.raises(ModelError, match=r"nothing of that name"):
        shape_of("no/such")
    assert not asked["local_files_only"]
