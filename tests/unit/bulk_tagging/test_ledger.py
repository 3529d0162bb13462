from dataclasses import replace

import fsspec
import pytest

from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import Ledger, ShardEntry
from raybio.bulk_tagging.provenance import Provenance
from raybio.errors import CommitError, UsageError

PROVENANCE = Provenance("runs/a/model", "f" * 16, "c" * 8, {"precision": "fp32", "formats": ["parquet"]})
FILE = InputFile("in/a.jsonl", "a", "jsonl", "fingerprint-1")
CHANGED = InputFile("in/a.jsonl", "a", "jsonl", "fingerprint-2")


@pytest.fixture
def ledger(output):
    return Ledger(output)


def entry(number, key="a", **files):
    named = {f"mentions/{key}-{number:05d}.parquet": {"bytes": 3, "sha256": "0"}, **files}
    return ShardEntry(
        shard=f"{key}-{number:05d}",
        documents=3,
        without_text=1,
        rejected=0,
        deleted=0,
        sentences=9,
        words=90,
        mentions={"Disease": 2},
        work={"subwords": 120},
        files=named,
        started=1.0,
        finished=2.5,
    )


def commit(ledger, file, *numbers):
    for number in numbers:
        for name in entry(number, file.key).files:
            with fsspec.open(f"{ledger.output}/{name}", "wb", auto_mkdir=True) as stream:
                stream.write(b"abc")
        ledger.commit(file, number, entry(number, file.key))


def done(ledger, file):
    """The numbers of the file's committed shards, or None when all of it is."""
    return {each.key: numbers for each, numbers in ledger.todo([file])}.get(file.key)


def names(ledger):
    filesystem, root = fsspec.core.url_to_fs(ledger.output)
    return sorted(name.removeprefix(root).lstrip("/") for name in filesystem.find(root))


def test_nothing_is_done_at_first(ledger):
    assert done(ledger, FILE) == set()
    assert list(ledger.entries()) == []


def test_committed_shards_are_done_and_a_finished_file_is_none(ledger):
    commit(ledger, FILE, 1, 0)
    assert done(Ledger(ledger.output), FILE) == {0, 1}
    assert list(ledger.entries()) == [entry(0), entry(1)]
    ledger.finish(FILE, 2, broken=False)
    assert done(Ledger(ledger.output), FILE) is None
    assert list(ledger.entries()) == [entry(0), entry(1)]
    assert names(ledger) == [
        "ledger/a@fingerprint-1.json",
        "mentions/a-00000.parquet",
        "mentions/a-00001.parquet",
    ]


def test_a_ledger_sees_what_another_process_commits(ledger):
    """A file system may remember its listings; the ledger must not."""
    assert done(ledger, FILE) == set()
    other = Ledger(ledger.output)
    commit(other, FILE, 0)
    assert done(ledger, FILE) == {0}
    other.finish(FILE, 1, broken=False)
    assert done(ledger, FILE) is None


def test_committing_twice_is_committing_once(ledger):
    commit(ledger, FILE, 0, 0)
    assert list(ledger.entries()) == [entry(0)]


def test_a_file_of_no_shards_is_finished(ledger):
    ledger.finish(FILE, 0, broken=True)
    assert done(ledger, FILE) is None
    assert list(ledger.entries()) == []


@pytest.mark.parametrize("finished", [True, False])
def test_a_changed_input_forgets_what_was_made_of_the_old(ledger, finished):
    other = InputFile("in/b.jsonl", "b", "jsonl", "same")
    commit(ledger, FILE, 0, 1)
    commit(ledger, other, 0)
    if finished:
        ledger.finish(FILE, 2, broken=False)
    assert done(Ledger(ledger.output), CHANGED) == set()
    assert list(ledger.entries()) == [entry(0, "b")]
    assert names(ledger) == ["ledger/b@same/00000.json", "mentions/b-00000.parquet"]
    commit(ledger, CHANGED, 0)
    assert done(ledger, CHANGED) == {0}


def test_a_folder_among_the_files_is_forgotten_whole(ledger):
    for name in ("brat/a-00000/1.txt", "brat/a-00000/1.ann"):
        with fsspec.open(f"{ledger.output}/{name}", "wb", auto_mkdir=True) as stream:
            stream.write(b"abc")
    ledger.commit(FILE, 0, entry(0, **{"brat/a-00000": {}}))
    done(ledger, CHANGED)
    assert names(ledger) == []


@pytest.mark.parametrize("finished", [True, False])
def test_a_late_commit_for_an_old_content_has_the_file_tagged_again(ledger, finished):
    """A run that began before the file changed has written over what was made of the new content."""
    commit(ledger, CHANGED, 0, 1)
    if finished:
        ledger.finish(CHANGED, 2, broken=False)
    commit(ledger, FILE, 0)
    assert done(Ledger(ledger.output), CHANGED) == set()
    assert names(ledger) == []


def test_files_of_a_shard_that_was_never_committed_are_forgotten_with_the_rest(ledger):
    """A run was killed between the files and their entry, and the input has fewer shards now."""
    commit(ledger, FILE, 0)
    kept = ["documents/a-00001-00000.parquet", "documents/ab-00001.parquet", "summary.json"]
    left = ["documents/a-00001.parquet", "bioc-xml/a-00001.bioc.xml", "brat/a-00001/1.txt"]
    for name in (*kept, *left):
        with fsspec.open(f"{ledger.output}/{name}", "wb", auto_mkdir=True) as stream:
            stream.write(b"abc")
    assert done(ledger, CHANGED) == set()
    assert names(ledger) == kept


def test_keys_that_begin_alike_are_not_mixed(ledger):
    longer = InputFile("in/ab.jsonl", "ab", "jsonl", "x")
    commit(ledger, longer, 0)
    assert done(ledger, FILE) == set()
    assert list(ledger.entries()) == [entry(0, "ab")]


def test_the_first_run_claims_the_output_and_the_same_may_continue(ledger):
    assert not ledger.has_other_provenance(PROVENANCE)
    ledger.claim(PROVENANCE)
    again = Ledger(ledger.output)
    again.claim(Provenance("moved/model", PROVENANCE.model_fingerprint, PROVENANCE.config_hash, {}))
    assert not again.has_other_provenance(PROVENANCE)


def test_of_two_that_claim_an_empty_output_in_the_same_moment_one_is_refused(ledger, monkeypatch):
    other = Ledger(ledger.output)
    looks = iter([None, PROVENANCE])  # before either has written, and after
    monkeypatch.setattr(other, "provenance", lambda: next(looks))
    ledger.claim(PROVENANCE)
    with pytest.raises(CommitError, match="was made with another config"):
        other.claim(Provenance("m", PROVENANCE.model_fingerprint, "d" * 8, {}))
    assert ledger.provenance() == PROVENANCE


@pytest.mark.parametrize(
    ("fingerprint", "config_hash", "changed"),
    [("0" * 16, "c" * 8, "model"), ("f" * 16, "d" * 8, "config"), ("0" * 16, "d" * 8, "model")],
)
def test_another_model_or_config_is_refused(ledger, fingerprint, config_hash, changed):
    ledger.claim(PROVENANCE)
    other = Provenance("m", fingerprint, config_hash, {})
    assert ledger.has_other_provenance(other)
    with pytest.raises(CommitError, match=f"was made with another {changed}.*; .* on_change=new-generation"):
        ledger.claim(other)
    assert not ledger.has_other_provenance(PROVENANCE)


def test_files_of_the_output_can_be_read(ledger):
    commit(ledger, FILE, 0)
    assert ledger.read_bytes("mentions/a-00000.parquet") == b"abc"
    ledger.write_json("summary.json", {"β": 1})
    assert ledger.read_bytes("summary.json").decode() == '{"β": 1}\n'


def test_what_is_left_is_found_without_reading_entries(ledger, monkeypatch):
    """Starting over must cost as little with ten thousand committed shards as with ten."""
    files = [InputFile(f"in/{k}.jsonl", k, "jsonl", "f") for k in ("a", "b", "c", "d")]
    for file in files[:2]:
        commit(ledger, file, 0, 1)
        ledger.finish(file, 2, broken=False)
    commit(ledger, files[2], 1)
    again = Ledger(ledger.output)
    monkeypatch.setattr(again, "read_bytes", lambda name: pytest.fail(f"{name} was read"))
    assert again.todo(files) == [(files[2], {1}), (files[3], set())]


def test_two_runs_may_finish_the_same_file(ledger):
    commit(ledger, FILE, 0, 1)
    ledger.finish(FILE, 2, broken=False)
    commit(ledger, FILE, 1)  # the slower run comes later
    ledger.finish(FILE, 2, broken=False)
    assert done(ledger, FILE) is None
    assert list(ledger.entries()) == [entry(0), entry(1)]


def test_entries_that_another_run_took_back_leave_the_others(ledger):
    commit(ledger, FILE, 0, 1, 2)
    Ledger(ledger.output).reopen(["a-00001"])
    assert not ledger.finish(FILE, 3, broken=False)
    assert done(ledger, FILE) == {0, 2}
    commit(ledger, FILE, 1)
    assert ledger.finish(FILE, 3, broken=False)
    assert done(ledger, FILE) is None


def test_a_broken_file_whose_last_shard_knows_of_no_fault_is_not_finished(ledger):
    """That shard was committed by a run that read on: the fault is not the file's."""
    commit(ledger, FILE, 0, 1)
    assert not ledger.finish(FILE, 2, broken=True)
    ledger.commit(FILE, 1, replace(entry(1), rejected=1))
    assert ledger.finish(FILE, 2, broken=True)
    assert done(ledger, FILE) is None


@pytest.mark.parametrize("moment", ["before the folder is listed", "before an entry is read"])
def test_entries_are_read_while_another_run_finishes_the_file(ledger, monkeypatch, moment):
    commit(ledger, FILE, 0, 1)
    other = Ledger(ledger.output)
    listed = other._committed

    def finished_meanwhile(place):
        if moment == "before the folder is listed":
            ledger.finish(FILE, 2, broken=False)
        numbers = listed(place)
        ledger.finish(FILE, 2, broken=False)
        return numbers

    monkeypatch.setattr(other, "_committed", finished_meanwhile)
    assert list(other.entries()) == [entry(0), entry(1)]


def test_rejected_records_are_counted_for_the_input_that_is_asked_for(ledger):
    def reject(file, number, count):
        ledger.commit(file, number, replace(entry(number, file.key), rejected=count))

    reject(FILE, 0, 2)
    reject(FILE, 1, 3)
    other = InputFile("in/b.jsonl", "b", "jsonl", "same")
    reject(other, 0, 7)
    ledger.finish(FILE, 2, broken=False)
    assert (ledger.rejected([FILE]), ledger.rejected([other]), ledger.rejected([FILE, other])) == (5, 7, 12)
    assert ledger.rejected([CHANGED]) == 0


def test_a_late_entry_does_not_keep_a_shard_from_being_reopened(ledger):
    """A slower run may leave an entry beside the finished file."""
    commit(ledger, FILE, 0, 1)
    ledger.finish(FILE, 2, broken=False)
    commit(ledger, FILE, 1)
    assert ledger.reopen(["a-00001"]) == 1
    assert done(ledger, FILE) == {0}


@pytest.mark.parametrize("finished", [True, False])
def test_a_reopened_shard_is_to_be_done_again_and_no_other(ledger, finished):
    commit(ledger, FILE, 0, 1, 2)
    if finished:
        ledger.finish(FILE, 3, broken=False)
    assert ledger.reopen(["a-00001", "other-00001"]) == 1
    assert done(ledger, FILE) == {0, 2}
    assert list(ledger.entries()) == [entry(0), entry(2)]
    commit(ledger, FILE, 1)
    ledger.finish(FILE, 3, broken=False)
    assert list(ledger.entries()) == [entry(0), entry(1), entry(2)]


def test_an_output_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "ledger").write_text("a file, where a folder should be")
    with pytest.raises(CommitError, match=r"00000\.json: cannot be written .* run the same command again"):
        Ledger(str(tmp_path)).commit(FILE, 0, entry(0))


def test_an_output_on_an_unknown_file_system_is_refused():
    with pytest.raises(UsageError, match=r"nosuch://b/x: this kind of place cannot be used .*raybio\[s3\]"):
        Ledger("nosuch://b/x")


def test_the_option_that_differs_is_named(ledger):
    held = {"shard_documents": 10, "output": "a", "taggers": {"count": 1}, "max_tokens": 5, "input": ["a"]}
    ledger.claim(Provenance("m", "f" * 16, "c" * 8, held))
    now = {"shard_documents": 20, "output": "b", "taggers": {"count": 2}, "max_tokens": 5}
    later = {"input": {"files": ["b"], "columns": {"text": [], "id": None}}}
    with pytest.raises(
        CommitError, match=r"another config \(shard_documents: 10, now 20\); .* --new-generation"
    ):
        ledger.claim(Provenance("m", "f" * 16, "d" * 8, now | later))
