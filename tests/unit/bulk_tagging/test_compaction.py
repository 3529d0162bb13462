import re
from dataclasses import asdict, replace

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raybio.bulk_tagging import compaction
from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.compaction import compact, current
from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import Ledger, ShardEntry
from raybio.bulk_tagging.provenance import Provenance
from raybio.bulk_tagging.shards import Shard
from raybio.bulk_tagging.tagging import TaggedDocuments, reject
from raybio.entities import Deletion, Document, Mention
from raybio.errors import CommitError, UsageError

PROVENANCE = Provenance("m", "f" * 16, "c" * 8, {})
DOCUMENT, DELETED, REJECTED = "document", "deleted", "rejected"


def tag_file(output, key, records, shard_size=2, fingerprint="f"):
    """Leave what tagging a file leaves; `records` are (id, version, fate), in the file's order."""
    ledger, files = Ledger(str(output)), ShardFiles(str(output), (), "m", "c")
    ledger.claim(PROVENANCE)
    file = InputFile(f"{key}.xml", key, "pubmed", fingerprint)
    numbers = range(-(-len(records) // shard_size))
    for number in numbers:
        held = records[number * shard_size : (number + 1) * shard_size]
        # The text says where it is from, and each document has as many mentions as its version says.
        documents = [
            Document(
                name,
                text := f"{key}-{number} {name}",
                (),
                (Mention(0, 1, "L", text[0]),) * version,
                (),
                (),
                version,
            )
            for name, version, fate in held
            if fate == DOCUMENT
        ]
        rejected = [reject(Document(name, ""), "s", "r", "") for name, _, fate in held if fate == REJECTED]
        deletions = tuple(Deletion(name, version) for name, version, fate in held if fate == DELETED)
        shard = Shard(file, number, (), (), deletions)
        written = files.write(shard, TaggedDocuments(documents, rejected, 0, 0))
        counts = (len(documents), 0, len(rejected), len(deletions), 0, 0)
        ledger.commit(file, number, ShardEntry(shard.name, *counts, {}, {}, written.files, 0.0, 0.0))
    ledger.finish(file, len(numbers), broken=False)
    return ledger


def found(folder):
    """The current set: id -> (version, mentions, shard), each document once, its mentions with it."""
    held = {}
    for documents, mentions in current(str(folder)):
        assert documents["mentions"].to_pylist() == [
            sum(1 for m in mentions["document_id"].to_pylist() if m == d)
            for d in documents["document_id"].to_pylist()
        ]
        for row in documents.to_pylist():
            assert row["document_id"] not in held
            held[row["document_id"]] = (row["version"], row["mentions"], row["source"])
    return held


def expected(files):
    """The rule, said again: the highest version decides, of those the last; notices count as records."""
    best = {}
    for key in sorted(files):
        for number in range(0, len(files[key]), 2):
            shard = files[key][number : number + 2]
            # In a shard's table deletions stand after documents.
            for name, version, fate in sorted(shard, key=lambda record: record[2] == DELETED):
                if fate != REJECTED and (name not in best or version >= best[name][0]):
                    best[name] = (version, fate, f"{key}.xml")
    return {
        name: (version, version, source) for name, (version, fate, source) in best.items() if fate != DELETED
    }


BASE = {
    "n01": [("1", 1, DOCUMENT), ("2", 1, DOCUMENT), ("3", 1, DOCUMENT), ("3", 2, DOCUMENT)],
    "n02": [("4", 1, DOCUMENT), ("5", 1, DOCUMENT), ("6", 1, DOCUMENT)],
}
UPDATE = {"n03": [("2", 1, DOCUMENT), ("3", 1, DOCUMENT), ("4", 1, DELETED), ("6", 1, REJECTED)]}


def test_the_latest_version_wins_and_the_deleted_are_gone(tmp_path):
    for key, records in {**BASE, **UPDATE}.items():
        tag_file(tmp_path / "out", key, records)
    compact(str(tmp_path / "out"), str(tmp_path / "set"))
    assert found(tmp_path / "set") == {
        "1": (1, 1, "n01.xml"),
        "2": (1, 1, "n03.xml"),  # revised
        "3": (2, 2, "n01.xml"),  # an older version in a later file
        "5": (1, 1, "n02.xml"),  # 4 was deleted
        "6": (1, 1, "n02.xml"),  # its revision could not be read
    }


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from("abcdef"),
                st.integers(1, 3),
                st.sampled_from((DOCUMENT, DOCUMENT, DELETED, REJECTED)),
            ),
            max_size=7,
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([3, 500_000]),
    st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_set_kept_up_to_date_is_the_set_made_at_once(tmp_path_factory, monkeypatch, files, bucket, fold):
    """In any number of buckets, whatever the updates bring, and folded at the end or not."""
    folder = tmp_path_factory.mktemp("compaction")
    monkeypatch.setattr(compaction, "_BUCKET_DOCUMENTS", bucket)
    named = {f"n{number:02d}": records for number, records in enumerate(files)}
    for key, records in named.items():
        tag_file(folder / "out", key, records)
        compact(str(folder / "out"), str(folder / "kept"))
    done = compact(str(folder / "out"), str(folder / "kept"), fold=fold)
    compact(str(folder / "out"), str(folder / "once"))
    assert found(folder / "kept") == found(folder / "once") == expected(named)
    assert done.new == 0 and not (fold and done.parts > 1)


def test_an_update_costs_itself(tmp_path):
    """Forty files are compacted; the next one reads its own shards alone, and writes one part."""
    for number in range(40):
        tag_file(tmp_path / "out", f"n{number:02d}", [(f"{number}-{i}", 1, DOCUMENT) for i in range(4)])
    first = compact(str(tmp_path / "out"), str(tmp_path / "set"))
    assert (first.new, first.files_read, first.files_written) == (40, 160, 2)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.parquet")}
    tag_file(tmp_path / "out", "n40", [("0-0", 1, DOCUMENT), ("1-0", 1, DELETED)])
    second = compact(str(tmp_path / "out"), str(tmp_path / "set"))
    assert (second.new, second.files_read, second.files_written, second.parts) == (1, 2, 2, 2)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again = compact(str(tmp_path / "out"), str(tmp_path / "set"))
    assert (again.new, again.files_read, again.files_written, again.parts) == (0, 0, 0, 2)
    # And makes no new state.
    states = sorted(path.name for path in (tmp_path / "set" / "compaction").iterdir())
    assert states == ["00001.json", "00002.json"]


def test_updates_are_folded_together_and_seldom_into_the_baseline(tmp_path):
    tag_file(tmp_path / "out", "n00", [(f"b{i}", 1, DOCUMENT) for i in range(200)])
    read = [compact(str(tmp_path / "out"), str(tmp_path / "set")).files_read]
    for number in range(1, 17):
        tag_file(tmp_path / "out", f"n{number:02d}", [(f"{number}-{i}", 1, DOCUMENT) for i in range(4)])
        done = compact(str(tmp_path / "out"), str(tmp_path / "set"))
        read.append(done.files_read)
        assert done.parts <= 6
    # Sixteen updates of two shards, read once, and each again as often as parts double.
    assert sum(read[1:]) <= 16 * 4 + 2 * 16
    assert len(found(tmp_path / "set")) == 264


def test_folded_files_are_the_set_as_they_are(tmp_path):
    for key, records in {**BASE, **UPDATE}.items():
        tag_file(tmp_path / "out", key, records)
        compact(str(tmp_path / "out"), str(tmp_path / "set"))
    assert compact(str(tmp_path / "out"), str(tmp_path / "set"), fold=True).parts == 1
    [path] = (tmp_path / "set" / "mentions").iterdir()
    assert sorted(pq.read_table(path)["document_id"].to_pylist()) == ["1", "2", "3", "3", "5", "6"]


def test_what_a_killed_compaction_left_is_removed(tmp_path):
    tag_file(tmp_path / "out", "n01", BASE["n01"])
    left = tmp_path / "set" / "mentions" / "00001-000-0123abcd.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    compact(str(tmp_path / "out"), str(tmp_path / "set"))
    [written] = left.parent.iterdir()
    assert re.fullmatch(r"00001-000-[0-9a-f]{8}\.parquet", written.name) and written != left


def test_shards_that_were_replayed_are_taken_in_again(tmp_path):
    tag_file(tmp_path / "out", "n01", [("1", 1, DOCUMENT), ("2", 1, REJECTED)])
    compact(str(tmp_path / "out"), str(tmp_path / "set"))
    ledger = Ledger(str(tmp_path / "out"))
    assert ledger.reopen(["n01-00000"]) == 1
    tag_file(tmp_path / "out", "n01", [("1", 1, DOCUMENT), ("2", 1, DOCUMENT)])
    assert compact(str(tmp_path / "out"), str(tmp_path / "set")).new == 1
    assert sorted(found(tmp_path / "set")) == ["1", "2"]


@pytest.mark.parametrize("table", ["documents", "mentions"])
def test_tables_of_two_runs_are_not_taken_as_one(tmp_path, table):
    """One run wrote a shard's documents, another its mentions; tagging the file again repairs it."""
    for output, version in (("out", 1), ("other", 2)):
        ledger = tag_file(tmp_path / output, "n01", [("1", version, DOCUMENT), ("2", 1, DOCUMENT)])
    path = f"{table}/n01-00000.parquet"
    (tmp_path / "out" / path).write_bytes(ledger.read_bytes(path))
    with pytest.raises(CommitError, match=f"{path} is not what was .*remove ledger/n01@f.json there"):
        compact(str(tmp_path / "out"), str(tmp_path / "set"))
    assert not (tmp_path / "set").exists()
    (tmp_path / "out" / "ledger" / "n01@f.json").unlink()
    tag_file(tmp_path / "out", "n01", [("1", 1, DOCUMENT), ("2", 1, DOCUMENT)])
    compact(str(tmp_path / "out"), str(tmp_path / "set"))
    assert sorted(found(tmp_path / "set")) == ["1", "2"]


def test_a_table_that_is_gone_is_missed(tmp_path):
    tag_file(tmp_path / "out", "n01", BASE["n01"])
    (tmp_path / "out" / "mentions" / "n01-00001.parquet").unlink()
    with pytest.raises(CommitError, match=r"mentions/n01-00001.parquet is not what was committed"):
        compact(str(tmp_path / "out"), str(tmp_path / "set"))


def test_a_part_whose_tables_do_not_belong_together_is_refused(tmp_path):
    tag_file(tmp_path / "out", "n01", BASE["n01"])
    compact(str(tmp_path / "out"), str(tmp_path / "set"))
    [path] = (tmp_path / "set" / "mentions").iterdir()
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(CommitError, match=f"mentions/{path.name} do not belong together"):
        list(current(str(tmp_path / "set")))
    tag_file(tmp_path / "out", "n02", BASE["n02"])
    with pytest.raises(CommitError, match=f"mentions/{path.name} do not belong together"):
        compact(str(tmp_path / "out"), str(tmp_path / "set"))


def test_files_in_flight_are_left_for_the_next_time(tmp_path):
    tag_file(tmp_path / "out", "n01", BASE["n01"])
    ledger = tag_file(tmp_path / "out", "n02", BASE["n02"])
    ledger.reopen(["n02-00001"])
    done = compact(str(tmp_path / "out"), str(tmp_path / "set"))
    assert (done.new, done.left) == (1, 1)
    assert sorted(found(tmp_path / "set")) == ["1", "2", "3"]


def test_sets_are_not_mixed(tmp_path):
    tag_file(tmp_path / "out", "n01", BASE["n01"])
    compact(str(tmp_path / "out"), str(tmp_path / "set"))
    ledger = Ledger(str(tmp_path / "out"))
    ledger.write_json("provenance.json", asdict(replace(PROVENANCE, config_hash="d" * 8)))
    with pytest.raises(CommitError, match="another model or config"):
        compact(str(tmp_path / "out"), str(tmp_path / "set"))
    ledger.write_json("provenance.json", asdict(PROVENANCE))
    ledger.todo([InputFile("n01.xml", "n01", "pubmed", "changed")])
    tag_file(tmp_path / "out", "n01", BASE["n02"], fingerprint="changed")
    with pytest.raises(CommitError, match="n01 has changed since it was compacted"):
        compact(str(tmp_path / "out"), str(tmp_path / "set"))


@pytest.mark.parametrize("target", ["out", "other"])
def test_a_tagged_output_is_no_place_for_a_set(tmp_path, target):
    """Neither itself nor another: what is not of the set would be removed."""
    for output in ("out", "other"):
        tag_file(tmp_path / output, "n01", BASE["n01"])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=f"{target} is a tagged output, not a place for a current set"):
        compact(str(tmp_path / "out"), str(tmp_path / target))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("table", ["documents", "mentions"])
def test_tables_that_no_compaction_wrote_are_left_alone(tmp_path, table):
    """A tagged output that was copied without what says so."""
    tag_file(tmp_path / "out", "n01", BASE["n01"])
    copied = tmp_path / "copy" / table / "n01-00000.parquet"
    copied.parent.mkdir(parents=True)
    copied.write_bytes(b"table")
    with pytest.raises(UsageError, match=f"{table}/n01-00000.parquet is of no current set"):
        compact(str(tmp_path / "out"), str(tmp_path / "copy"))
    assert copied.read_bytes() == b"table"


def test_what_is_no_output_and_no_set_says_so(tmp_path):
    with pytest.raises(UsageError, match="is no tagged output"):
        compact(str(tmp_path), str(tmp_path / "set"))
    with pytest.raises(UsageError, match="holds no current set"):
        list(current(str(tmp_path)))
    assert not (tmp_path / "set").exists()
