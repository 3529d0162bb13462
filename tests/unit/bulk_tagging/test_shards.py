import json
from types import SimpleNamespace

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raybio.bulk_tagging import shards
from raybio.bulk_tagging.inputs import InputFile, find_inputs
from raybio.bulk_tagging.shards import EndOfFile, Shard, Unread, read_shards
from raybio.corpora import write_corpus
from raybio.entities import Document


def lines(count, first=0):
    return "".join(
        json.dumps({"id": str(i), "text": f"Text {i}."}) + "\n" for i in range(first, first + count)
    )


def ids(shard):
    return [document.id for document in shard.documents]


def read(path, size=3, done=()):
    [file] = find_inputs([str(path)])
    *shards, end = read_shards(file, size, done)
    assert all(isinstance(shard, Shard) for shard in shards)
    assert isinstance(end, EndOfFile) and end.key == file.key
    return shards, end


def test_inputs_may_be_urls():
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/shards_in/a.jsonl", lines(4).encode())
    [file] = find_inputs(["memory://shards_in/"])
    assert file.path.startswith("memory://")
    first, second, _ = read_shards(file, 3, ())
    assert [ids(first), ids(second)] == [["0", "1", "2"], ["3"]]


def test_a_brat_folder_is_one_input_whose_fingerprint_changes_with_its_files(tmp_path):
    write_corpus([Document("1", "Text."), Document("2", "More.")], f"{tmp_path}/brat", "brat")
    [before] = find_inputs([f"{tmp_path}/brat"], "brat")
    [shard, end] = read_shards(before, 5, ())
    assert (before.key, ids(shard), end) == ("brat", ["1", "2"], EndOfFile("brat", 1))
    (tmp_path / "brat" / "2.txt").write_text("Less.")
    [after] = find_inputs([f"{tmp_path}/brat"], "brat")
    assert after.fingerprint != before.fingerprint


@given(st.integers(1, 30), st.integers(1, 10), st.sets(st.integers(0, 9)))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shards_are_fixed_ranges_of_records_and_done_ones_are_left_out(jsonl, count, size, done):
    total = -(-count // size)
    done = {number for number in done if number < total}
    shards, end = read(jsonl(lines(count)), size, done)
    assert end == EndOfFile("a", total)
    assert [shard.number for shard in shards] == [k for k in range(total) if k not in done]
    for shard in shards:
        assert ids(shard) == [
            str(i) for i in range(shard.number * size, min(count, (shard.number + 1) * size))
        ]
        assert shard.name == f"a-{shard.number:05d}"


def test_a_shard_of_very_long_documents_has_fewer_of_them(jsonl, monkeypatch):
    """So that no shard is too large for memory; those of ordinary documents end where they always did."""
    monkeypatch.setattr(shards, "_MAX_CHARACTERS", 250)
    long = "".join(json.dumps({"id": str(i), "text": "x" * 100}) + "\n" for i in range(4))
    found, end = read(jsonl(long + "{" + "y" * 300 + "\n" + lines(7, first=4)), 5)
    assert [ids(shard) for shard in found] == [["0", "1", "2"], ["3"], ["4", "5", "6", "7", "8"], ["9", "10"]]
    assert [len(shard.rejected) for shard in found] == [0, 1, 0, 0]
    assert end.shards == 4
    assert [shard.number for shard in read(jsonl(long), 5, done={0})[0]] == [1]


def test_a_record_at_fault_holds_its_place(jsonl):
    [first, second], end = read(jsonl(lines(1) + "{\n" + lines(2, first=2)), 2)
    assert (ids(first), ids(second), end.broken) == (["0"], ["2", "3"], False)
    [rejected] = first.rejected
    assert rejected.place == "line 2" and rejected.raw == "{"


def test_deletions_travel_with_the_records_around_them(tmp_path):
    citation = (
        '<PubmedArticle><MedlineCitation><PMID Version="1">{}</PMID><Article><ArticleTitle>T.</ArticleTitle>'
        "</Article></MedlineCitation></PubmedArticle>"
    )
    path = tmp_path / "update.xml"
    path.write_text(
        "<PubmedArticleSet>"
        + "".join(citation.format(i) for i in (1, 2))
        + '<DeleteCitation><PMID Version="1">8</PMID><PMID Version="2">9</PMID></DeleteCitation>'
        + "</PubmedArticleSet>"
    )
    shards, end = read(path, 5)
    assert [(ids(s), [(d.document_id, d.version) for d in s.deletions]) for s in shards] == [
        (["1", "2"], [("8", 1), ("9", 2)])
    ]
    shards, end = read(path, 2)  # a full shard is closed before the notices come
    assert [(ids(s), len(s.deletions)) for s in shards] == [(["1", "2"], 0), ([], 2)]
    assert end == EndOfFile("update", 2)


def test_what_stands_before_broken_gzip_is_kept(jsonl):
    path = jsonl("".join(lines(1, i) for i in range(4000)), "a.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-2000])
    shards, end = read(path, 1000)
    found = [i for shard in shards for i in ids(shard)]
    assert 1000 < len(found) < 4000
    assert found == [str(i) for i in range(len(found))]
    [rejected] = [r for shard in shards for r in shard.rejected]
    assert rejected.source == str(path)
    assert "broken or end early" in rejected.reason and "Fetch the file again" in rejected.remedy
    assert end.broken and end == EndOfFile("a", len(shards), end.error)
    assert (rejected.place, rejected.reason) == (end.error.place, end.error.problem)


@pytest.mark.parametrize("name", ["a.jsonl", "a.xml", "a.parquet", "a.bioc.json", "a.xml.gz"])
def test_a_file_that_cannot_be_read_is_one_rejected_record(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    [shard], end = read(tmp_path / name)
    assert (shard.documents, len(shard.rejected)) == ((), 1)
    assert shard.rejected[0].reason and shard.rejected[0].remedy
    assert end.broken and end.shards == 1
    assert read(tmp_path / name, done={0})[0] == []


def test_a_file_that_cannot_be_reached_is_unread_whatever_was_done_of_it(tmp_path):
    """Not broken: what it holds is not known, and a later run may reach it."""
    file = InputFile(str(tmp_path / "gone.jsonl"), "gone", "jsonl", "0")
    for done in ((), {0}):
        [unread] = read_shards(file, 3, done)
        assert isinstance(unread, Unread) and unread.key == "gone"
        assert "cannot be opened" in str(unread.error)


def test_reading_that_breaks_off_leaves_the_file_unread(jsonl, monkeypatch):
    def breaks_off(path, max_record_bytes):
        yield from (Document(str(i), "Text.") for i in range(4))
        raise OSError("connection reset")

    monkeypatch.setattr(shards, "format_named", lambda _: SimpleNamespace(read_path=breaks_off))
    [file] = find_inputs([str(jsonl(lines(9)))])
    *whole, unread = read_shards(file, 3, ())
    assert [ids(shard) for shard in whole] == [["0", "1", "2"]]  # and not half of the next
    assert "reading broke off (connection reset)" in str(unread.error)


def test_a_file_that_ends_before_what_was_committed_of_it_is_unread(jsonl):
    """Whether a fault or nothing at all tells of it: the reading cannot be right."""
    for text in (lines(4), lines(3) + "\xff"):
        [file] = find_inputs([str(jsonl(text))])
        assert [type(item) for item in read_shards(file, 3, {0, 1, 2})] == [Unread]
