"""Pickled weights that are allowed become safetensors once; nothing else opens them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from raybio import model_conversion
from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.model_sources import model_folder
from raybio.taggers import load_tagger

SENTENCE = Sentence("1", ("Naloxone", "reverses", "clonidine"), (0, 9, 18))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYBIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pickled(source, target, files=1, name="pytorch_model"):
    """Copy a model folder with its weights in pickles, as torch.save writes them."""
    folder = Path(shutil.copytree(source, target))
    [weights] = folder.glob("*model.safetensors")
    tensors = [*load_file(weights).items()]
    weights.unlink()
    for i in range(files):
        part = name if files == 1 else f"{name}-{i + 1:05}-of-{files:05}"
        torch.save(dict(tensors[i::files]), folder / f"{part}.bin")
    return folder


@pytest.mark.parametrize("files", [1, 3])
def test_allowed_pickles_tag_as_the_safetensors_do(tiny_encoder, tmp_path, files):
    folder = pickled(tiny_encoder, tmp_path / "model", files)
    with pytest.raises(ModelError, match="allow_pickle"):
        model_folder(str(folder))
    found = model_folder(str(folder), allow_pickle=True)
    assert found != folder and not [*found.glob("*.bin")]
    wanted = load_tagger(tiny_encoder, device="cpu").tag([SENTENCE])
    assert load_tagger(found, device="cpu").tag([SENTENCE]) == wanted


def test_an_adapters_pickle_becomes_safetensors(tiny_decoder, tmp_path):
    folder = pickled(tiny_decoder, tmp_path / "adapter", name="adapter_model")
    found = model_folder(str(folder), allow_pickle=True)
    wanted = load_file(tiny_decoder / "adapter_model.safetensors")
    read = load_file(found / "adapter_model.safetensors")
    assert {name: tensor.tolist() for name, tensor in read.items()} == {
        k: v.tolist() for k, v in wanted.items()
    }
    assert load_tagger(found, device="cpu").labels == ("Chemical", "Disease")


def test_a_pickle_is_opened_once_until_it_changes(tiny_encoder, tmp_path, monkeypatch):
    opened, read = [], model_conversion._unpickled
    monkeypatch.setattr(
        model_conversion, "_unpickled", lambda path: (opened.append(path.name), read(path))[1]
    )
    folder = pickled(tiny_encoder, tmp_path / "model")
    first = model_folder(str(folder), allow_pickle=True)
    assert model_folder(str(folder), allow_pickle=True) == first and len(opened) == 1
    card = json.loads((folder / "raybio.json").read_text())
    (folder / "raybio.json").write_text(json.dumps({**card, "constrained_decoding": True}))
    second = model_folder(str(folder), allow_pickle=True)
    assert second != first and json.loads((second / "raybio.json").read_text())["constrained_decoding"]


def test_safetensors_are_taken_where_there_are_both(tiny_encoder, tmp_path):
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "both"))
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    assert model_folder(str(folder), allow_pickle=True) == folder


@pytest.mark.parametrize("content", [[1, 2], {"a": "text"}, torch.zeros(3)])
def test_a_pickle_of_anything_else_is_refused(tiny_encoder, tmp_path, content):
    folder = pickled(tiny_encoder, tmp_path / "model")
    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="holds more than named tensors"):
        model_folder(str(folder), allow_pickle=True)
