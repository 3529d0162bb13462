"""Two runs on one output meet in the same folder, on a local disk."""

import errno
import shutil
from pathlib import Path

import pytest

from raybio.bulk_tagging import output_folder
from raybio.bulk_tagging.output_folder import OutputFolder, ahead
from raybio.errors import CommitError


@pytest.fixture
def folder(tmp_path):
    """An output with a file in a folder."""
    made = OutputFolder(str(tmp_path))
    made.write_json("ledger/a/00000.json", {})
    return made


def meeting(monkeypatch, *errors):
    """Have these errors come in the way of the next removals."""
    left = [*errors]
    remove = shutil.rmtree

    def rmtree(path):
        if left:
            raise left.pop(0)
        remove(path)

    monkeypatch.setattr(output_folder.shutil, "rmtree", rmtree)


def test_a_folder_into_which_another_run_writes_is_removed_all_the_same(folder, monkeypatch, tmp_path):
    meeting(monkeypatch, OSError(errno.ENOTEMPTY, "Directory not empty"), FileNotFoundError())
    folder.remove("ledger/a")
    assert not (tmp_path / "ledger" / "a").exists()


def test_a_folder_is_removed_though_the_current_one_is_gone(folder, monkeypatch, tmp_path):
    """Ray removes a job's working folder with the last node that has it, on one machine the driver's too."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    folder.remove("ledger/a")
    assert not (tmp_path / "ledger" / "a").exists()


def test_what_cannot_be_removed_is_one_clear_error(folder, monkeypatch):
    meeting(monkeypatch, OSError(errno.EROFS, "Read-only file system"))
    with pytest.raises(CommitError, match=r"ledger/a: cannot be removed \(Read-only file system\)"):
        folder.remove("ledger/a")


def test_what_a_store_says_in_its_own_words_is_one_clear_error(monkeypatch):
    class NoCredentialsError(Exception):
        pass

    folder = OutputFolder("memory://somewhere")

    def refused(*_, **__):
        raise NoCredentialsError("Unable to locate credentials")

    for name in ("cat_file", "ls", "pipe_file", "put_file"):
        monkeypatch.setattr(folder._filesystem, name, refused)
    asked = {
        "read": lambda: folder.read_json("a.json"),
        "listed": lambda: folder.names("ledger"),
        "written": lambda: folder.write_json("a.json", {}),
    }
    for done, ask in asked.items():
        with pytest.raises(CommitError, match=rf"cannot be {done} \(Unable to locate credentials\)"):
            ask()
    with pytest.raises(CommitError, match="cannot be written"):
        folder.create_json("a.json", {})


def test_a_file_is_removed_whether_it_is_there_or_not(output):
    folder = OutputFolder(output)
    folder.write_json("a/b.json", {})
    for _ in range(2):
        folder.remove_file("a/b.json")
        assert folder.read_json("a/b.json") is None


def test_of_a_file_that_cannot_be_written_to_its_end_nothing_is_there():
    folder = OutputFolder("memory://half")
    with pytest.raises(KeyError), folder.writing("a") as stream:
        stream.write(b"half")
        raise KeyError
    assert folder.names("") == []


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_in_a_folder_is_created_once(tmp_path, scheme):
    folder = OutputFolder(f"{scheme}{tmp_path}/out")
    assert folder.create_json("states/1.json", {"a": 1})
    assert not folder.create_json("states/1.json", {"a": 2})
    assert folder.read_json("states/1.json") == {"a": 1}
    assert [path.name for path in (tmp_path / "out/states").iterdir()] == ["1.json"]
    folder.write_json("b/c.json", {})
    assert (tmp_path / "out/b/c.json").exists()


def test_answers_come_in_order_and_few_are_asked_ahead():
    asked = []
    answers = ahead(lambda number: asked.append(number) or -number, iter(range(100)))
    assert [next(answers) for _ in range(3)] == [0, -1, -2]
    assert len(asked) <= 20
    assert list(answers) == [-number for number in range(3, 100)]


def test_an_entry_is_written_though_another_run_removes_its_folder(folder, monkeypatch, tmp_path):
    write_whole = output_folder.storage.write_whole
    removals = [tmp_path / "ledger" / "a"]

    def removed_meanwhile(path):
        class Writing:
            def __enter__(self):
                self.writing = write_whole(path)
                return self.writing.__enter__()

            def __exit__(self, *error):
                if removals:
                    shutil.rmtree(removals.pop())
                return self.writing.__exit__(*error)

        return Writing()

    monkeypatch.setattr(output_folder.storage, "write_whole", removed_meanwhile)
    folder.write_json("ledger/a/00001.json", {"b": 1})
    assert not removals
    assert [path.name for path in Path(tmp_path, "ledger", "a").iterdir()] == ["00001.json"]
