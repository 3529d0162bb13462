"""The mean of several encoders' weights, and which encoders have one."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from raybio.config import CorpusSection, TrainDecoderConfig, TrainEncoderConfig, to_yaml
from raybio.errors import ModelError, UsageError
from raybio.run_folder import RunFolder
from raybio.training.soup import _copy_around_weights, make_soup, mean_model


@pytest.fixture
def other(tiny_encoder, tmp_path):
    """A model like the tiny encoder, each weight of which is larger by 1."""
    folder = tmp_path / "other"
    shutil.copytree(tiny_encoder, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({k: w + 1 for k, w in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_each_weight_is_the_mean(tiny_encoder, other):
    found = mean_model([tiny_encoder, other, other]).state_dict()
    for name, weight in load_file(tiny_encoder / "model.safetensors").items():
        torch.testing.assert_close(found[name], weight + 2 / 3)


def test_models_that_learned_otherwise_have_none(tiny_encoder, other):
    card = json.loads((other / "raybio.json").read_text())
    (other / "raybio.json").write_text(json.dumps({**card, "raybio": "another version"}))
    mean_model([tiny_encoder, other])
    for name, value in (
        ("spacing", "blank"),
        ("labels", ["Chemical", "Gene"]),
        ("label_subwords", "first"),
        ("base_model", "another"),
    ):
        (other / "raybio.json").write_text(json.dumps({**card, name: value}))
        with pytest.raises(ModelError) as error:
            mean_model([tiny_encoder, other])
        assert str(error.value) == (
            f"{other} has {name} {value} where {tiny_encoder} has {card.get(name)}: weights that learned "
            f"otherwise have no mean. Take models of the same {name}"
        )
    (other / "raybio.json").unlink()
    with pytest.raises(ModelError, match="other holds no encoder that raybio trained"):
        mean_model([tiny_encoder, other])


def test_models_that_are_read_in_another_way_have_one(tiny_encoder, other):
    card = json.loads((other / "raybio.json").read_text())
    changes = {
        "max_length": 32,
        "stride": 8,
        "aggregation_strategy": "first",
        "constrained_decoding": not card["constrained_decoding"],
    }
    (other / "raybio.json").write_text(json.dumps({**card, **changes}))
    found = mean_model([tiny_encoder, other]).state_dict()
    for name, weight in load_file(tiny_encoder / "model.safetensors").items():
        torch.testing.assert_close(found[name], weight + 1 / 2)


def test_models_of_other_shapes_have_none(tiny_encoder, other):
    weights = load_file(other / "model.safetensors")
    name = next(name for name in weights if "word_embeddings" in name)
    weights[name] = weights[name][:-1].clone()
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "vocab_size": config["vocab_size"] - 1}))
    with pytest.raises(ModelError, match=r"other has weights of other shapes than"):
        mean_model([tiny_encoder, other])


def test_what_goes_with_the_weights_is_copied_and_no_form_of_them(tiny_encoder, tmp_path):
    model = shutil.copytree(tiny_encoder, tmp_path / "model")
    (model / "int8").mkdir()
    (model / "int8" / "model.xml").write_text("of the first model")
    (model / "pytorch_model.bin").write_text("of the first model")
    (tmp_path / "soup").mkdir()
    _copy_around_weights(model, tmp_path / "soup")
    copied = {path.name for path in (tmp_path / "soup").iterdir()}
    assert {"raybio.json", "calibration.json", "config.json", "tokenizer.json"} <= copied
    assert not copied & {"int8", "pytorch_model.bin", "model.safetensors"}


def encoder_run(path, model="bundled:minilm", corpus="sample"):
    section = CorpusSection(name=corpus)
    return str(run_of(path, TrainEncoderConfig(job="train-encoder", model=model, corpus=section)))


def run_of(path, config):
    return RunFolder.create(path, to_yaml(config)).path


def test_runs_that_do_not_belong_together_are_reported(tmp_path):
    first = encoder_run(tmp_path / "a")
    decoder = TrainDecoderConfig(
        job="train-decoder", model="bundled:smollm2", corpus=CorpusSection(name="sample")
    )
    for others, said in (
        ([], "a soup is of two models or more"),
        ([first], "a soup is of two models or more"),
        ([str(tmp_path / "nowhere")], "nowhere is not a run folder"),
        ([encoder_run(tmp_path / "b", model="elsewhere")], "b has another model than"),
        ([encoder_run(tmp_path / "c", corpus="BC5CDR")], "c has another corpus than"),
        ([str(run_of(tmp_path / "d", decoder))], "d is the run of a train-decoder job"),
    ):
        with pytest.raises(UsageError, match=said):
            make_soup([first, *others], "soup", str(tmp_path))
    with pytest.raises(ModelError, match="holds no encoder"):
        make_soup([first, encoder_run(tmp_path / "e")], "soup", str(tmp_path))
    assert not (tmp_path / "soup").exists(), "a fault leaves no run behind"
