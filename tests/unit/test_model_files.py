"""What is opened of a model folder, and what is refused before a library sees it."""

import json
import os
import pickle
import shutil
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

from raybio.errors import ModelError
from raybio.model_files import inspect_model, read_header
from raybio.model_sources import base_folder, model_folder
from raybio.taggers import check_tagger, load_tagger
from raybio.taggers.hugging_face import check_base

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


class Planted:
    """What leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def plant(path, mark):
    """Write a pickle that makes the folder `mark` when it is opened, as torch's older and newer files do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.stem.endswith("2"):
        path.write_bytes(pickle.dumps(Planted(mark)))
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Planted(mark)))
        archive.writestr("archive/version", "3\n")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    save_file({"a": torch.zeros(3), "b": torch.zeros(2, 2)}, tmp_path / "model" / "model.safetensors")
    return tmp_path / "model"


def refusal(call, *given, **options):
    with pytest.raises(ModelError) as caught:
        call(*given, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def as_pointer(path):
    path.write_text(POINTER)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def longer(path):
    path.write_bytes(path.read_bytes() + b"\0")


def header_of(text):
    return lambda path: path.write_bytes(struct.pack("<Q", len(text)) + text)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (as_pointer, "is a pointer of Git LFS"),
        (cut, r"is broken: cut off: it has \S+ bytes, and its header speaks of"),
        (longer, "is broken: too long"),
        (lambda path: path.write_bytes(b""), "is broken: cut off in its header, after 0 bytes"),
        (lambda path: path.write_bytes(path.read_bytes()[:30]), "is broken: cut off in its header, after 30"),
        (lambda path: path.write_bytes(b"\xff" * 100), "is broken: cut off in its header"),
        (lambda path: torch.save({"a": torch.zeros(3)}, path), "is a pickle that is called safetensors"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "is a pickle that is called safetensors"),
        (header_of(b"[]"), "its header is not that of safetensors"),
        (header_of(b'{"a": 1}'), "its header is not that of safetensors"),
        (header_of(b'{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}'), "F32 of shape"),
        (
            header_of(b'{"a": {"dtype": "F9", "shape": [3], "data_offsets": [0, 8]}}'),
            "not that of safetensors",
        ),
        (header_of(b"[" * 5000), "its header is not that of safetensors"),
        (lambda path: (path.unlink(), path.mkdir()), "is no file: a folder, or a link"),
        (lambda path: (path.unlink(), path.symlink_to("gone")), "is no file: a folder, or a link"),
    ],
)
def test_broken_weights_are_seen_by_their_header(folder, damage, said):
    damage(folder / "model.safetensors")
    with pytest.raises(ModelError, match=said) as caught:
        inspect_model(folder)
    assert "\n" not in str(caught.value)


def test_headers_are_read_as_the_library_reads_them(folder, tmp_path):
    kinds = [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.float8_e4m3fn, torch.uint8]
    tensors = {str(kind): torch.zeros(3, 2).to(kind) for kind in kinds} | {
        "empty": torch.zeros(0),
        "one": torch.ones(()),
    }
    save_file(tensors, tmp_path / "all.safetensors", {"format": "pt"})
    found = read_header(tmp_path / "all.safetensors")
    assert {name: shape for name, (_, shape) in found.items()} == {k: [*t.shape] for k, t in tensors.items()}


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "spm.model"]
)
def test_a_pointer_of_git_lfs_is_no_file_of_a_model(folder, name):
    as_pointer(folder / name)
    assert refusal(inspect_model, folder).startswith(
        f"{folder / name} is a pointer of Git LFS, not the file itself"
    )


@pytest.mark.parametrize("text", ["", "[]", "{", "3", "\ud800", "[" * 20000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_what_is_no_json_object_is_named(folder, name, text):
    (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    assert str(folder / name) in refusal(inspect_model, folder)


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        (
            ["model.fp16.safetensors"],
            "it holds model.fp16.safetensors. If these are the weights to use, rename ",
        ),
        (
            ["pytorch_model.bin"],
            r"it holds pytorch_model.bin. Pickled weights can run code .* `allow_pickle: true`",
        ),
        (
            ["tf_model.h5", "flax_model.msgpack"],
            "it holds flax_model.msgpack, tf_model.h5. Fetch the model again",
        ),
        (["optimizer.safetensors"], "it holds optimizer.safetensors. Fetch the model again"),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], "Fetch the model again"),
        ([], "it holds no weights at all. Fetch the model again"),
    ],
)
def test_without_safetensors_it_says_what_it_found(folder, found, advice):
    (folder / "model.safetensors").unlink()
    for name in found:
        (folder / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=rf"has no safetensors weights \(model.safetensors\): .*{advice}"):
        model_folder(str(folder))


@pytest.mark.parametrize(
    ("weight_map", "said"),
    [
        (
            {"a": "model.safetensors", "b": "pytorch_model.bin"},
            "names 'pytorch_model.bin' as weights. Only safetensors",
        ),
        ({"a": "model.safetensors", "b": "../model.safetensors"}, "that is outside the model's folder"),
        ({"a": "/etc/model.safetensors"}, "that is outside the model's folder"),
        ({"a": "..\\model.safetensors"}, "that is outside the model's folder"),
        ({"a": 1}, "names 1 as weights"),
        ({"a": "gone.safetensors"}, "gone.safetensors cannot be read: No such file"),
        (
            {"a": "model.safetensors", "c": "model.safetensors"},
            "says that c is in model.safetensors, which lacks it",
        ),
        ({}, "it has no weight_map"),
        ("a", "it has no weight_map"),
        (None, "it has no weight_map"),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_an_index_names_safetensors_of_its_own_folder(folder, weight_map, said, named):
    index = folder / ("other" if named else "model")
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    renamed = json.loads(json.dumps(weight_map).replace("model.safetensors", "part.safetensors"))
    index = index.with_suffix(".safetensors.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": renamed}))
    if named:
        change(folder / "config.json", transformers_weights=index.name)
    assert said.replace("model.safetensors", "part.safetensors") in refusal(model_folder, str(folder))
    index.write_text(
        json.dumps({"metadata": {}, "weight_map": {"a": "part.safetensors", "b": "part.safetensors"}})
    )
    assert model_folder(str(folder)) == folder


@pytest.mark.parametrize("name", ["adapter_model.bin", "pytorch_model.bin", 3, ["model.safetensors"], {}])
def test_a_config_that_names_other_weights_is_refused(folder, name):
    change(folder / "config.json", transformers_weights=name or {"a": 1})
    assert "Only safetensors are opened" in refusal(model_folder, str(folder))
    change(folder / "config.json", transformers_weights="../model.safetensors")
    assert "outside the model's folder" in refusal(model_folder, str(folder))


@pytest.mark.parametrize(
    "key", ["attn_implementation", "_attn_implementation", "attn_implementation_internal"]
)
@pytest.mark.parametrize(
    "value", ["somebody/kernel", "flash|somebody/kernel:run", {"text_config": "somebody/kernel"}]
)
def test_attention_from_elsewhere_is_refused(folder, key, value):
    change(folder / "config.json", **{key: value})
    assert "asks for code from elsewhere" in refusal(model_folder, str(folder))
    change(folder / "config.json", **{key: "sdpa"}, text_config={key: value})
    assert "asks for code from elsewhere" in refusal(model_folder, str(folder))
    change(folder / "config.json", text_config={})
    assert model_folder(str(folder)) == folder


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", None])
def test_an_adapter_of_another_type_is_refused(folder, kind):
    """Some of them read pickles that their config names, or run code of a tokenizer."""
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": kind}))
    save_file({"a": torch.zeros(3)}, folder / "adapter_model.safetensors")
    assert "raybio reads LORA alone" in refusal(model_folder, str(folder))


def test_only_the_weights_that_are_loaded_count(folder):
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert "has no safetensors weights (adapter_model.safetensors)" in refusal(model_folder, str(folder))
    save_file({"a": torch.zeros(3)}, folder / "adapter_model.safetensors")
    assert model_folder(str(folder)) == folder


PLACES = [
    *("pytorch_model.bin", "pytorch_model2.bin", "pytorch_model-00001-of-00002.bin", "adapter_model.bin"),
    *(
        "training_args.bin",
        "model.bin",
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
        "vocab.pkl",
        "model.pkl",
    ),
    *("tokenizer.pkl", "spiece2.bin", "custom_generate/generate2.bin", "original/consolidated.00.pth"),
    *(
        "1_Pooling/pytorch_model.bin",
        "model.ckpt",
        "merges.pkl",
        "pytorch_model.fp16.bin",
        "adapter_model2.bin",
    ),
]


def planted(source, target, places=PLACES):
    """Copy a model folder with a pickle in every place, and the indexes that name some."""
    shutil.copytree(source, target)
    for i, place in enumerate(places):
        plant(target / place, target.parent / f"ran-{i}")
    weight_map = {"a": "pytorch_model.bin", "b": "pytorch_model2.bin"}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (target / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return target


def ran(tmp_path):
    return sorted(path.name for path in tmp_path.glob("ran-*"))


def test_a_planted_pickle_runs_where_it_is_opened(tmp_path):
    """What the tests below rest on."""
    for name in ("model.bin", "model2.bin"):
        plant(tmp_path / name, tmp_path / f"ran-{name}")
    torch.load(tmp_path / "model.bin", weights_only=False)
    pickle.loads((tmp_path / "model2.bin").read_bytes())
    assert ran(tmp_path) == ["ran-model.bin", "ran-model2.bin"]


def test_no_pickle_of_a_model_folder_runs(tiny_encoder, tiny_llm, tiny_decoder, tmp_path):
    encoder = planted(tiny_encoder, tmp_path / "encoder")
    check_tagger(model_folder(str(encoder)))
    load_tagger(model_folder(str(encoder), allow_pickle=True), device="cpu")
    check_base(AutoModelForTokenClassification, base_folder(str(encoder)))
    llm = planted(tiny_llm, tmp_path / "llm")
    check_base(AutoModelForCausalLM, base_folder(str(llm), allow_pickle=True))
    adapter = planted(tiny_decoder, tmp_path / "adapter")
    change(adapter / "raybio.json", base_model=str(llm))
    check_tagger(model_folder(str(adapter)))
    load_tagger(model_folder(str(adapter)), device="cpu")
    assert ran(tmp_path) == []


def test_no_pickle_runs_that_a_config_names(tiny_encoder, tiny_decoder, tmp_path):
    encoder = planted(tiny_encoder, tmp_path / "encoder")
    for name in ("adapter_model.bin", "pytorch_model.bin", "pytorch_model.bin.index.json"):
        change(encoder / "config.json", transformers_weights=name)
        for load in (check_tagger, load_tagger):
            assert "Only safetensors are opened" in refusal(load, encoder)
    change(encoder / "config.json", transformers_weights=None)
    (encoder / "model.safetensors").unlink()
    plant(encoder / "model.safetensors", tmp_path / "ran-named")
    assert "is a pickle that is called safetensors" in refusal(load_tagger, encoder)
    adapter = planted(tiny_decoder, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").unlink()
    assert "it holds adapter_model.bin" in refusal(load_tagger, adapter)
    assert ran(tmp_path) == []


def test_a_base_beside_an_adapter_is_not_opened(tiny_encoder, tiny_decoder, tmp_path):
    """transformers takes such a folder for a model with an adapter on it, and reads its pickles."""
    both = planted(tiny_encoder, tmp_path / "both")
    (both / "model.safetensors").unlink()
    (both / "raybio.json").unlink()
    for path in tiny_decoder.glob("adapter_*"):
        shutil.copy(path, both)
    for load in (check_tagger, load_tagger, lambda at: check_base(AutoModelForTokenClassification, at)):
        assert "holds an adapter" in refusal(load, both)
    assert ran(tmp_path) == []


def test_an_allowed_pickle_that_runs_code_does_not(tiny_encoder, tmp_path):
    encoder = shutil.copytree(tiny_encoder, tmp_path / "encoder")
    (encoder / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "pytorch_model2.bin"):
        plant(encoder / name, tmp_path / "ran-it")
        assert "Take a copy of the model that has safetensors" in refusal(
            model_folder, str(encoder), allow_pickle=True
        )
        (encoder / name).unlink()
    assert ran(tmp_path) == []
