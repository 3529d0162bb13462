"""Two runs on one output meet in the same folder, on a local disk."""

import errno
import shutil
from pathlib import Path

import pytest

from raybio.bulk_tagging import output_folder
from raybio.bulk_tagging.output_folder import OutputFolder
from raybio.errors import CommitError


@pytest.fixture
def folder(tmp_path):
    """An output with a file in a folder."""
    made = OutputFolder(str(tmp_path))
    made.write_json("ledger/a/00000.json", {})
    return made


def meeting(folder, monkeypatch, *errors):
    """Have these errors come in the way of the next removals."""
    left = [*errors]
    remove = folder._filesystem.rm

    def rm(path, **options):
        if left:
            raise left.pop(0)
        remove(path, **options)

    monkeypatch.setattr(folder._filesystem, "rm", rm)


def test_a_folder_into_which_another_run_writes_is_removed_all_the_same(folder, monkeypatch, tmp_path):
    meeting(folder, monkeypatch, OSError(errno.ENOTEMPTY, "Directory not empty"), FileNotFoundError())
    folder.remove("ledger/a")
    assert not (tmp_path / "ledger" / "a").exists()


def test_what_cannot_be_removed_is_one_clear_error(folder, monkeypatch):
    meeting(folder, monkeypatch, OSError(errno.EROFS, "Read-only file system"))
    with pytest.raises(CommitError, match=r"ledger/a: cannot be removed \(Read-only file system\)"):
        folder.remove("ledger/a")


def test_an_entry_is_written_though_another_run_removes_its_folder(folder, monkeypatch, tmp_path):
    write_bytes = output_folder.write_bytes
    removals = [tmp_path / "ledger" / "a"]

    def removed_meanwhile(path):
        class Writing:
            def __enter__(self):
                self.writing = write_bytes(path)
                return self.writing.__enter__()

            def __exit__(self, *error):
                if removals:
                    shutil.rmtree(removals.pop())
                return self.writing.__exit__(*error)

        return Writing()

    monkeypatch.setattr(output_folder, "write_bytes", removed_meanwhile)
    folder.write_json("ledger/a/00001.json", {"b": 1})
    assert not removals
    assert [path.name for path in Path(tmp_path, "ledger", "a").iterdir()] == ["00001.json"]
