"""When a run stops, and when it does not end well."""

import json
from dataclasses import replace

import pytest

from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import CommittedShard, Ledger, ShardEntry
from raybio.bulk_tagging.progress_tracker import ProgressTracker, check_anything_tagged, summarize
from raybio.bulk_tagging.shards import EndOfFile, Unread
from raybio.errors import AccessError, ClusterError, CommitError, RejectedError
from raybio.progress import Progress

FILE = InputFile("in/a.jsonl", "a", "jsonl", "f")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(str(tmp_path))


def watch(ledger, max_rejected=None):
    return ProgressTracker(ledger, [FILE], ledger.todo([FILE]), print, max_rejected)


def commit(ledger, number, rejected, attempts=1):
    counts = (1, 0, rejected, 0, 1, 1)
    entry = ShardEntry(f"a-{number:05d}", *counts, {}, {}, {}, 0.0, 1.0, attempts)
    ledger.commit(FILE, number, entry)
    return CommittedShard("a", number, entry)


def test_more_rejected_records_than_allowed_stop_every_run(ledger):
    """Started again, the same command ends as it did before, until more are allowed or fewer rejected."""
    first = watch(ledger, max_rejected=5)
    first.see(commit(ledger, 0, rejected=3))
    with pytest.raises(RejectedError, match="6 records were rejected, more than max_rejected=5"):
        first.see(commit(ledger, 1, rejected=3))
    with pytest.raises(RejectedError, match="6 records were rejected"):
        watch(ledger, max_rejected=5).check_rejected()
    watch(ledger, max_rejected=6).check_rejected()
    watch(ledger).check_rejected()
    ledger.reopen(["a-00001"])
    again = watch(ledger, max_rejected=5)
    again.check_rejected()
    again.see(commit(ledger, 1, rejected=2))


def test_progress_is_in_files_until_all_shards_are_known(ledger, monkeypatch):
    monkeypatch.setattr("raybio.bulk_tagging.progress_tracker._PROGRESS_SECONDS", -1.0)
    other = InputFile("in/b.jsonl", "b", "jsonl", "f")
    lines = []
    run = ProgressTracker(ledger, [FILE, other], ledger.todo([FILE, other]), lines.append)
    run.see(commit(ledger, 0, rejected=0))
    run.see(EndOfFile("b", 0))
    run.see(EndOfFile("a", 3))
    run.see(commit(ledger, 1, rejected=1))
    run.see(commit(ledger, 2, rejected=0))
    reported = [Progress.read(line) for line in lines]
    assert [(each.unit, each.done, each.total) for each in reported] == [
        ("file", 0, 2),
        ("file", 1, 2),
        ("shard", 1, 3),
        ("shard", 2, 3),
        ("shard", 3, 3),
    ]
    assert reported[-1].note == "documents 3 (3/s), mentions 0, rejected 1"


def test_shards_that_were_begun_before_are_counted_beside_the_others(ledger, capsys):
    run = watch(ledger)
    run.see(EndOfFile("a", 2))
    run.see(commit(ledger, 0, rejected=0, attempts=3))
    run.see(commit(ledger, 1, rejected=0))
    last = Progress.read(capsys.readouterr().out.splitlines()[-1])
    assert last.note == "documents 2 (2/s), mentions 0, rejected 0, begun again 1"


def test_a_run_whose_shards_another_took_back_does_not_end_well(ledger):
    run = watch(ledger)
    run.see(commit(ledger, 0, rejected=0))
    ledger.reopen(["a-00000"])
    run.see(EndOfFile("a", 1))
    with pytest.raises(CommitError, match="taken back shards of a while this one worked"):
        run.check_finished()


def test_a_run_that_could_not_read_a_file_says_so_at_its_end(ledger):
    run = watch(ledger)
    run.see(commit(ledger, 0, rejected=0))
    run.see(
        Unread("a", AccessError("in/a.jsonl", "", "cannot be opened (Input/output error)", "Check the path"))
    )
    reported = (
        r"in/a.jsonl: cannot be opened \(.*\)\. Check the path\. All else is tagged; run the same command"
    )
    with pytest.raises(AccessError, match=reported):
        run.check_finished()
    assert [done for _, done in ledger.todo([FILE])] == [{0}]


@pytest.mark.parametrize("shards", [None, 2, 4])
def test_a_file_whose_shards_are_not_those_that_it_ended_with_is_not_finished(ledger, shards):
    run = watch(ledger)
    for number in range(3):
        run.see(commit(ledger, number, rejected=0))
    if shards is not None:
        run.see(EndOfFile("a", shards))
    with pytest.raises(ClusterError, match="a: processes that read, cut or tag it died"):
        run.check_finished()
    assert [done for _, done in ledger.todo([FILE])] == [{0, 1, 2}]


def test_a_store_that_fails_while_a_file_is_finished_is_reported_at_the_end(ledger, monkeypatch):
    run = watch(ledger)
    monkeypatch.setattr(ledger, "remove", lambda name: (_ for _ in ()).throw(CommitError("no")))
    run.see(commit(ledger, 0, rejected=0))
    run.see(EndOfFile("a", 1))
    with pytest.raises(CommitError, match="no"):
        run.check_finished()


def test_a_run_that_finished_its_files_ends_well(ledger):
    run = watch(ledger)
    run.see(commit(ledger, 0, rejected=0))
    run.see(EndOfFile("a", 1))
    run.check_finished()
    assert ledger.todo([FILE]) == []


def test_a_run_that_tagged_nothing_is_not_done(ledger):
    run = watch(ledger)
    counts = (0, 0, 2, 0, 0, 0)
    ledger.commit(FILE, 0, ShardEntry("a-00000", *counts, {}, {}, {}, 0.0, 1.0))
    lines = [
        {"shard": "a-00000", "source": "a.jsonl", "place": f"line {n}", "reason": "no JSON", "remedy": "Do"}
        for n in (1, 2)
    ]
    with ledger.writing("rejected/a-00000.jsonl") as stream:
        stream.write("".join(json.dumps(line) + "\n" for line in lines).encode())
    summary = summarize(ledger, run, 1.0)
    with pytest.raises(RejectedError) as caught:
        check_anything_tagged(summary)
    assert str(caught.value).splitlines() == [
        f"no document was tagged: all 2 records were rejected. {ledger.output}/rejected.jsonl has each",
        "  - rejected 2, such as a.jsonl, line 1: no JSON. Do",
    ]
    assert caught.value.exit_code == 3
    run.see(commit(ledger, 1, rejected=0))
    check_anything_tagged(summarize(ledger, run, 1.0))


def test_what_formats_have_no_place_for_is_summed_over_all_shards(ledger):
    run = watch(ledger)
    for number, lost in enumerate([{"brat": {"passages": 2}}, {}, {"brat": {"passages": 3, "relations": 1}}]):
        entry = replace(commit(ledger, number, rejected=0).entry, lost=lost)
        ledger.commit(FILE, number, entry)
    assert summarize(ledger, run, 1.0).lost == {"brat": {"passages": 5, "relations": 1}}
