import fcntl
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from raybio import model_fetching
from raybio.errors import ModelError
from raybio.filesystems import filesystem_of
from raybio.model_fetching import fetched
from raybio.model_files import READ
from raybio.model_identity import fingerprint
from raybio.model_sources import ModelReference, model_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYBIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_fetching, "_held", {})
    return tmp_path / "cache"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Folders that a file system of its own gives under URLs; `store.got` has what was downloaded."""

    got = []

    class Store(LocalFileSystem):
        def get_file(self, path, target, **options):
            got.append(Path(path).name)
            shutil.copyfile(path, target)

    monkeypatch.setattr(
        model_fetching,
        "filesystem_of",
        lambda url: (Store(), str(tmp_path / url.removeprefix("mem://"))),
    )
    Store.got = got
    return Store


def write_model(folder, weights=b"1234"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "training_args.bin").write_bytes(b"a pickle")
    (folder / "checkpoints").mkdir(exist_ok=True)


def test_only_what_is_read_of_a_model_is_fetched_and_only_once(store, tmp_path):
    write_model(tmp_path / "bucket" / "model")
    with ThreadPoolExecutor(4) as pool:
        [folder] = set(pool.map(lambda _: fetched("mem://bucket/model/", READ), range(4)))
    held = sorted(path.name for path in folder.iterdir())
    assert sorted(store.got) == held == ["config.json", "model.safetensors"]


def test_a_model_that_was_changed_is_another_folder(store, tmp_path):
    write_model(tmp_path / "bucket" / "model")
    first = fetched("mem://bucket/model", READ)
    write_model(tmp_path / "bucket" / "model", b"5678")
    second = fetched("mem://bucket/model", READ)
    assert first != second
    weights = [(folder / "model.safetensors").read_bytes() for folder in (first, second)]
    assert weights == [b"1234", b"5678"]


def test_the_least_recently_used_model_goes_and_none_that_is_held(store, tmp_path, monkeypatch, cache):
    for name in ("a", "b", "c", "d"):
        write_model(tmp_path / name, b"0" * 998)
    monkeypatch.setenv("RAYBIO_MODEL_CACHE_GB", "2e-6")
    a, b = fetched("mem://a", READ), fetched("mem://b", READ)
    with (cache / "fetched" / f"{b.name}.held").open() as other:
        model_fetching._held.popitem()[1].close()
        fcntl.flock(other, fcntl.LOCK_SH)  # another process
        model_fetching._held.popitem()[1].close()
        c = fetched("mem://c", READ)
        assert not a.exists() and b.exists() and c.exists()
        with pytest.raises(ModelError, match=r"^mem://d has 0.0 GB.* in use. Set RAYBIO_MODEL_CACHE_GB"):
            fetched("mem://d", READ)
    assert fetched("mem://d", READ).exists() and not b.exists() and c.exists()


@pytest.mark.parametrize(
    ("gb", "problem"), [("a lot", "'a lot' is no number"), ("1e-9", "may take 1e-09 GB on a node")]
)
def test_the_bound_is_refused_or_kept(store, tmp_path, monkeypatch, gb, problem):
    write_model(tmp_path / "a")
    monkeypatch.setenv("RAYBIO_MODEL_CACHE_GB", gb)
    with pytest.raises(ModelError, match=problem):
        fetched("mem://a", READ)


def test_a_full_disk_is_said_of_the_cache_and_not_of_the_bucket(store, tmp_path, monkeypatch):
    write_model(tmp_path / "a")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "get_file", full)
    with pytest.raises(ModelError, match=r"mem://a cannot be kept in .*/fetched: .*No space left"):
        fetched("mem://a", READ)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(ModelError, match=r"the disk of .*/fetched has 0.0 GB left. Make room"):
        fetched("mem://a", READ)


def test_a_file_that_breaks_off_is_no_model(store, tmp_path, monkeypatch, cache):
    write_model(tmp_path / "a")
    monkeypatch.setattr(store, "get_file", lambda _, path, target: Path(target).write_bytes(b"1"))
    with pytest.raises(ModelError, match=r"a/config.json came with 1 bytes instead of 2"):
        fetched("mem://a", READ)
    assert not any(path.is_dir() for path in (cache / "fetched").iterdir())


@pytest.mark.parametrize("url", ["s3://raybio-tests/nothing/here", "nowhere://bucket/model"])
def test_what_is_not_there_is_one_line(bucket, url):
    with pytest.raises(ModelError, match=f"{url}"):
        model_folder(url)


def test_a_model_in_a_bucket_tags_as_the_folder_does(bucket, tiny_encoder):
    """By an endpoint of its own and credentials of the environment, as MinIO and Ceph have them."""
    filesystem, root = filesystem_of(f"{bucket}/models/tiny")
    filesystem.put(f"{tiny_encoder}/", root, recursive=True)
    reference = ModelReference.of(f"{bucket}/models/tiny")
    assert reference.name == f"{bucket}/models/tiny"
    assert reference.fingerprint == fingerprint(tiny_encoder) == fingerprint(reference.folder())
    filesystem.pipe_file(f"{root}/config.json", (tiny_encoder / "config.json").read_bytes() + b" ")
    with pytest.raises(ModelError, match="is not the model that the job began with"):
        reference.folder()
