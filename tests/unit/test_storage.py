import json
import multiprocessing
import os
import pickle
import resource
import stat
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from storage_writers import CONTENTS, replace_often, write_often

from raybio import storage
from raybio.errors import StorageError, UsageError
from raybio.filesystems import filesystem_of
from raybio.json_lines import append_json_line

PLACES = ["tmp_path", "bucket", "google_bucket"]


@pytest.fixture(params=PLACES)
def place(request):
    """A folder on this disk, in a bucket of S3 and in one of Google Cloud."""
    return f"{request.getfixturevalue(request.param)}/{request.param}-{time.monotonic_ns()}"


def read(path):
    filesystem, inner = filesystem_of(str(path))
    return filesystem.cat_file(inner, start=0)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def little_room(size):
    """Let this process write no file past `size` bytes, as a disk without room would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_is_written_whole_or_stays_as_it_was(place):
    path = f"{place}/deep/er/β file.txt"
    storage.write_text(path, "one\r\ntwo\u2028")
    assert read(path) == "one\r\ntwo\u2028".encode()
    with pytest.raises(KeyError), storage.write_whole(path) as stream:
        stream.write(b"half of ano")
        raise KeyError
    assert read(path) == "one\r\ntwo\u2028".encode()
    storage.write_json(path, {"b": ["β", 1.5], "a": None})
    assert json.loads(read(path)) == {"b": ["β", 1.5], "a": None}


@pytest.mark.parametrize("fixture", ["tmp_path", "bucket"])  # the server for Google's heeds no condition
def test_a_file_is_created_once(request, fixture):
    path = f"{request.getfixturevalue(fixture)}/deep/er/one.json"
    assert storage.create_whole(path, b"first")
    assert not storage.create_whole(path, b"second")
    assert read(path) == b"first"


@pytest.mark.parametrize(("fixture", "times"), [("tmp_path", 300), ("bucket", 8), ("google_bucket", 8)])
def test_two_processes_write_one_file_again_and_again(request, fixture, times):
    path = f"{request.getfixturevalue(fixture)}/contended.txt"
    write_often(path, 0, 1)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(path, writer, times)) for writer in range(2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        content = read(path)
        assert content in CONTENTS
        seen.add(content)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(seen) == 2
    if fixture == "tmp_path":
        assert names(request.getfixturevalue(fixture)) == ["contended.txt"]


def test_a_disk_without_room_leaves_what_was_there(tmp_path):
    path, folder, lines = tmp_path / "file", tmp_path / "folder", tmp_path / "lines.jsonl"
    storage.write_text(path, "old")
    with storage.replace_folder(folder) as draft:
        (draft / "weights").write_text("old")
    append_json_line(lines, {"epoch": 1})
    with little_room(20_000):
        with pytest.raises(StorageError, match=r"file: cannot be written \(File too large\)"):
            storage.write_text(path, "new" * 10_000)
        with pytest.raises(StorageError, match=r"new.json: cannot be written \(File too large\)"):
            storage.create_whole(str(tmp_path / "new.json"), b"new" * 10_000)
        with pytest.raises(StorageError, match=r"lines.jsonl: cannot be written"):
            append_json_line(lines, {"epoch": 2, "loss": "2" * 30_000})
        with pytest.raises(OSError, match="File too large"), storage.replace_folder(folder) as draft:
            (draft / "weights").write_text("new" * 10_000)
    assert path.read_text() == (folder / "weights").read_text() == "old"
    append_json_line(lines, {"epoch": 3})
    assert lines.read_text() == '{"epoch": 1}\n{"epoch": 3}\n'
    assert names(tmp_path) == ["file", "folder", "lines.jsonl"]


def test_a_fault_of_whoever_writes_is_not_blamed_on_the_file(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="elsewhere"),
        storage.write_whole(tmp_path / "file") as stream,
    ):
        stream.write((tmp_path / "elsewhere").read_bytes())
    assert names(tmp_path) == []


def test_what_cannot_be_written_is_reported_in_one_line(tmp_path, bucket):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/below: cannot be written \(File exists\)") as caught:
        storage.write_text(tmp_path / "file" / "below", "")
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/file: cannot be written"):
        storage.write_text("s3://no-such-bucket/file", "")
    with pytest.raises(StorageError, match=r"http://127.0.0.1:9/file: cannot be written"):
        storage.write_text("http://127.0.0.1:9/file", "")
    with pytest.raises(UsageError, match="no-such://file: this kind of place cannot be used"):
        storage.write_text("no-such://file", "")


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Each file is synced before its rename, and the folder after it; so is each folder made on the way."""
    done = []

    def note(descriptor):
        done.append((Path(f"/proc/self/fd/{descriptor}").readlink(), (tmp_path / "a/b/file").exists()))

    monkeypatch.setattr(os, "fsync", note)
    storage.write_text(tmp_path / "a/b/file", "text")
    folders = [(tmp_path / "a", False), (tmp_path, False)]
    assert done[:2] == folders
    assert done[2][0].name.startswith(".file.") and not done[2][1]
    assert done[3:] == [(tmp_path / "a/b", True)]


def test_a_link_is_followed_and_a_pipe_is_written_into(tmp_path):
    target, link, pipe = tmp_path / "deep" / "target", tmp_path / "link", tmp_path / "pipe"
    storage.write_text(target, "old")
    link.symlink_to(target)
    storage.write_text(link, "new")
    assert link.is_symlink() and target.read_text() == "new"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    storage.write_text(pipe, "text")
    assert os.read(reader, 10) == b"text" and stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reader)


def test_names_may_be_as_long_as_the_disk_takes(tmp_path):
    for name in ("n" * 255, "界" * 85):
        storage.write_text(tmp_path / name, "text")
        assert (tmp_path / name).read_text() == "text"


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_folder_is_replaced_whole(tmp_path, monkeypatch, in_one_step):
    if not in_one_step:
        monkeypatch.setattr(storage, "_exchange", lambda one, other: False)
    folder = tmp_path / "deep" / "model"
    for name in ("first", "second"):
        with storage.replace_folder(folder) as draft:
            assert draft.parent == folder.parent and not list(draft.iterdir())
            (draft / name / "int8").mkdir(parents=True)
            (draft / name / "int8" / "weights").write_text(name)
        assert [path.name for path in folder.iterdir()] == [name]
    with pytest.raises(KeyError), storage.replace_folder(folder) as draft:
        (draft / "third").touch()
        raise KeyError
    assert [path.name for path in folder.iterdir()] == ["second"]
    assert names(folder.parent) == ["model"]


def test_two_processes_replace_one_folder_again_and_again(tmp_path):
    """One of them as on a system that cannot let two folders change names in one step."""
    folder = tmp_path / "model"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=replace_often, args=(folder, writer)) for writer in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert names(folder) == ["a", "b"]
    assert (folder / "a").read_text() == (folder / "b").read_text()
    assert names(tmp_path) == ["model"]


def test_a_folder_that_a_killed_process_was_filling_is_removed_after_a_day(tmp_path):
    folder, left = tmp_path / "model", [tmp_path / f".model.{age}.partial" for age in ("young", "old")]
    for each in left:
        each.mkdir()
        (each / "weights").touch()
    day = time.time() - 25 * 60 * 60
    os.utime(left[1], (day, day))
    with storage.replace_folder(folder):
        pass
    assert [each.exists() for each in left] == [True, False]


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        ("", ""),
        ('{"epoch": 1}\n', '{"epoch": 1}\n'),
        ('{"epoch": 1}\n{"epoch": 2, "lo', '{"epoch": 1}\n'),
        ('{"epoch": 1, "lo', ""),
        ('{"epoch": 1}', '{"epoch": 1}\n'),
    ],
)
def test_a_line_is_appended_where_the_last_one_may_be_torn(tmp_path, held, kept):
    path = tmp_path / "metrics.jsonl"
    path.write_text(held)
    append_json_line(path, {"note": "a\u2028β"})
    assert path.read_text() == kept + '{"note": "a\u2028β"}\n'
