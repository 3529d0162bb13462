import pickle
import shutil
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file

from raybio.errors import ModelError
from raybio.model_sources import ModelReference, base_folder, model_folder, name_anywhere
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
    with pytest.raises(ModelError, match=r"has no config.json: it is not a Hugging Face model folder$"):
        model_folder(str(folder))
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"It is the folder of a run; its model is .*model$"):
        model_folder(str(folder))


@pytest.mark.parametrize("name", ["/nowhere/model", "./model", "../model", "runs/today/model"])
def test_what_can_only_be_a_folder_is_not_asked_of_the_hub(name, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: pytest.fail("asked the hub"))
    with pytest.raises(ModelError, match="there is no model folder"):
        model_folder(name)


@pytest.mark.parametrize("allow_pickle", [True, False])
def test_pickles_are_not_even_downloaded_without_permission(folder, monkeypatch, allow_pickle):
    asked = []

    def download(name, allow_patterns, local_files_only, revision):
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
    assert str(caught.value).endswith("your access to it: a gated model needs HF_TOKEN")
    assert "\n" not in str(caught.value)


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


@pytest.fixture
def hub(tmp_path, monkeypatch, folder):
    """A hub with one model, and a cache of its own for each node: `hub.node("a")` moves there."""
    state = SimpleNamespace(commit="c0ffee", downloads=[], source=folder)

    def node(name):
        monkeypatch.setenv("RAYBIO_CACHE", str(tmp_path / name / "raybio"))
        state.snapshots = tmp_path / name / "hub" / "snapshots"

    def download(name, *, revision=None, allow_patterns=None, local_files_only=False):
        found = state.snapshots / (revision or state.commit)
        if local_files_only:
            if not found.is_dir():
                raise LocalEntryNotFoundError("not in the cache")
            return str(found)
        state.downloads.append((name, found.name))
        return shutil.copytree(state.source, found, dirs_exist_ok=True)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr("raybio.model_sources.hub_answers", lambda: True)
    state.node = node
    node("driver")
    return state


def test_each_node_downloads_the_drivers_revision_once(hub):
    reference = pickle.loads(pickle.dumps(ModelReference.of("somebody/model")))
    assert (reference.name, reference.revision) == ("somebody/model", "c0ffee")
    hub.commit = "another"  # pushed meanwhile
    hub.node("worker")
    first = reference.folder()
    assert first == hub.snapshots / "c0ffee" == reference.folder()
    assert hub.downloads == [("somebody/model", "c0ffee")] * 2


def test_a_download_that_was_killed_is_completed(hub):
    reference = ModelReference.of("somebody/model")
    hub.node("worker")
    half = hub.snapshots / "c0ffee"
    half.mkdir(parents=True)
    shutil.copy(hub.source / "config.json", half)
    assert (reference.folder() / "model.safetensors").is_file()
    (half / "config.json").write_text('{"half": true}')
    (half / "model.safetensors").unlink()
    assert (reference.folder() / "config.json").read_text() == "{}"


def test_another_model_under_the_same_name_is_refused_with_the_nodes_name(folder, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "node-7")
    monkeypatch.chdir(folder.parent)
    reference = ModelReference.of("model")
    assert reference.name == str(folder) and reference.folder() == folder
    save_file({"a": torch.ones(3)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"^on node node-7: .* is not the model that the job began with"):
        reference.folder()
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match=rf"^on node node-7: there is no model folder {folder}. Name"):
        reference.folder()


def test_names_mean_the_same_in_other_folders(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert name_anywhere("model") == str(folder)
    for name in ("bundled:minilm", "microsoft/deberta", "s3://bucket/model"):
        assert name_anywhere(name) == name


def test_a_models_folder_may_be_a_url(folder):
    assert model_folder(f"file://{folder}") == folder
