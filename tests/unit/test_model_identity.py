"""Which model a folder holds: over all of its content, and at the cost of one reading."""

import os
import time

import pytest
import torch
from safetensors.torch import save_file

from raybio import model_identity
from raybio.model_identity import (
    are_weights_of,
    cache_folder,
    checked_once,
    earlier_fingerprint,
    fingerprint,
    is_fingerprint_of,
    weights_fingerprint,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYBIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    save_file({"a": torch.zeros(3 << 18)}, tmp_path / "model" / "model.safetensors")
    settle(tmp_path / "model" / "model.safetensors")
    return tmp_path / "model"


def settle(path):
    """Make a file look as if it had been written a while ago."""
    os.utime(path, (time.time() - 60, time.time() - 60))


def put(path, position, byte=b"\1"):
    with path.open("r+b") as file:
        file.seek(position)
        file.write(byte)


@pytest.fixture
def readings(monkeypatch):
    """The names of the large files that are hashed, as they are."""
    names, hash_content = [], model_identity._content
    monkeypatch.setattr(
        model_identity, "_content", lambda path: (names.append(path.name), hash_content(path))[1]
    )
    monkeypatch.setattr(model_identity, "_SETTLED_SECONDS", 0)
    return names


def test_every_byte_of_what_is_read_counts_and_nothing_else(folder):
    before = fingerprint(folder)
    assert len(before) == 32 and int(before, 16)
    (folder / "int8").mkdir()
    (folder / "int8" / "model.xml").write_text("derived")
    for name in ("int8.lock", "README.md", "pytorch_model.bin", "training_args.bin", ".gitattributes"):
        (folder / name).write_text("never opened")
    assert fingerprint(folder) == before

    weights = folder / "model.safetensors"
    size = weights.stat().st_size
    for position in (0, size // 2, size - 1):
        put(weights, position)
        assert fingerprint(folder) != before
        before = fingerprint(folder)
    (folder / "config.json").write_text('{"a": 1}')
    assert fingerprint(folder) != before
    before = fingerprint(folder)
    (folder / "config.json").rename(folder / "config2.json")
    assert fingerprint(folder) != before


def test_a_large_file_is_read_once_until_it_changes(folder, readings):
    before = fingerprint(folder)
    assert readings == ["config.json", "model.safetensors"]
    assert fingerprint(folder) == before
    assert readings[2:] == ["config.json"]

    weights, old = folder / "model.safetensors", (folder / "model.safetensors").stat()
    put(weights, old.st_size // 2)
    os.utime(weights, ns=(old.st_atime_ns, old.st_mtime_ns))  # as `rsync --times` and `cp -p` leave it
    assert fingerprint(folder) != before
    assert readings[3:] == ["config.json", "model.safetensors"]


def test_a_file_that_was_written_just_now_is_not_remembered(folder, readings, monkeypatch):
    monkeypatch.setattr(model_identity, "_SETTLED_SECONDS", 60)
    assert fingerprint(folder) == fingerprint(folder)
    assert readings.count("model.safetensors") == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_broken_memory_costs_a_reading(folder, readings, cache, text):
    before = fingerprint(folder)
    [note] = (cache / "fingerprints").iterdir()
    note.write_text(text)
    assert fingerprint(folder) == before
    assert readings.count("model.safetensors") == 2


def test_a_cache_that_cannot_be_written_costs_a_reading(folder, readings, cache):
    cache.write_text("a file where the folder should be")
    assert fingerprint(folder) == fingerprint(folder)
    assert readings.count("model.safetensors") == 2


def test_weights_are_known_again_in_other_files_and_precisions(tmp_path):
    def written(name, *files):
        (tmp_path / name).mkdir()
        for i, tensors in enumerate(files):
            save_file(tensors, tmp_path / name / f"model-{i}.safetensors")
        return weights_fingerprint(tmp_path / name)

    a, b, c = torch.rand(3, 100), torch.rand(()), torch.tensor([1, 2])
    known = written("whole", {"a": a, "b": b, "c": c})
    assert len(known) == 32 and int(known, 16)
    assert written("cut", {"b": b, "c": c}, {"a": a.bfloat16()}) == known
    assert written("longer", {"a": torch.cat([a, a]), "b": b, "c": c}) != known
    assert written("renamed", {"d": a, "b": b, "c": c}) != known
    for i, changed in enumerate(a.clone() for _ in range(3)):
        changed[i, 70 + i] += 1  # beyond what fingerprints looked at before
        assert written(f"other-{i}", {"a": changed, "b": b, "c": c}) != known
    assert written("none") == ""


def test_models_are_known_by_the_fingerprints_of_before(folder):
    """The digits are those that the version before this one gave."""
    old = earlier_fingerprint(folder)
    assert old == "a2c1a7e0868a052a"
    assert is_fingerprint_of(old, folder) and is_fingerprint_of(fingerprint(folder), folder)
    assert not is_fingerprint_of("0" * 16, folder) and not is_fingerprint_of("0" * 32, folder)
    weights = model_identity._old_weights_fingerprint(folder)
    assert weights == "d4ae7a9863b275ea"
    assert are_weights_of(weights, folder) and are_weights_of(weights_fingerprint(folder), folder)
    assert not are_weights_of("0" * 16, folder) and not are_weights_of("0" * 32, folder)


def test_what_cannot_be_compared_is_taken_for_the_same(folder, tmp_path):
    assert are_weights_of("", folder)
    assert are_weights_of("0" * 32, tmp_path) and are_weights_of("0" * 16, tmp_path)


def test_a_folder_that_passed_is_not_checked_again_until_it_changes(folder):
    checks = []
    for _ in range(2):
        checked_once([folder], lambda: checks.append(1))
    assert len(checks) == 1
    (folder / "config.json").write_text('{"a": 1}')
    checked_once([folder], lambda: checks.append(1))
    assert len(checks) == 2

    def fail():
        checks.append(1)
        raise ValueError

    (folder / "config.json").write_text('{"a": 22}')
    for _ in range(2):
        with pytest.raises(ValueError):
            checked_once([folder], fail)
    assert len(checks) == 4


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("RAYBIO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "raybio"
