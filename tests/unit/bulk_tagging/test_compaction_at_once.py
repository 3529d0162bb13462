"""Several compactions at once on one set: one of them comes first, and no update is lost."""

import pytest

from raybio.bulk_tagging import compaction
from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.compaction import compact, current
from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import Ledger, ShardEntry
from raybio.bulk_tagging.output_folder import OutputFolder
from raybio.bulk_tagging.provenance import Provenance
from raybio.bulk_tagging.shards import Shard
from raybio.bulk_tagging.tagging import TaggedDocuments
from raybio.entities import Document, Mention
from raybio.errors import CommitError


def tag(output, key, *names):
    """Leave a tagged file of one shard, whose documents have a mention each."""
    ledger = Ledger(output)
    ledger.claim(Provenance("m", "f" * 16, "c" * 8, {}))
    file = InputFile(f"{key}.xml", key, "pubmed", "f")
    documents = [Document(name, "text", (), (Mention(0, 4, "L", "text"),)) for name in names]
    shard = Shard(file, 0, (), (), ())
    written = ShardFiles(output, (), "m", "c").write(shard, TaggedDocuments(documents, [], 0, 0))
    ledger.commit(file, 0, ShardEntry(shard.name, len(names), *[0] * 5, {}, {}, written.files, 0.0, 0.0))
    ledger.finish(file, 1, broken=False)


def documents_in(target):
    """The documents of the set, each of which has its mention."""
    pieces = list(current(target))
    held = sorted(name for documents, _ in pieces for name in documents["document_id"].to_pylist())
    assert held == sorted(name for _, mentions in pieces for name in mentions["document_id"].to_pylist())
    return held


def files_in(target):
    """What lies in the set, but for drafts: its states, and its tables without their runs."""
    folder = OutputFolder(target)
    tables = {table: [name[:9] for name in folder.names(table)] for table in ("documents", "mentions")}
    assert tables["documents"] == tables["mentions"]
    return folder.names("compaction"), tables["documents"]


@pytest.fixture
def meanwhile(monkeypatch):
    """Call something once, when the run under way comes to a certain step: before it, or after."""

    def install(owner, step, event, after=False):
        real = getattr(owner, step)

        def call(*arguments):
            monkeypatch.setattr(owner, step, real)
            if after:
                result = real(*arguments)
                event()
                return result
            event()
            return real(*arguments)

        monkeypatch.setattr(owner, step, call)

    return install


STEPS = [
    pytest.param(compaction, "spilled", id="before it read anything"),
    pytest.param(compaction._Merge, "_put", id="before it wrote anything"),
    pytest.param(OutputFolder, "create_json", id="when its parts are written"),
]


@pytest.fixture
def mine(tmp_path):
    tag(str(tmp_path / "mine"), "a", "a1", "a2")
    return str(tmp_path / "mine")


@pytest.fixture
def other(tmp_path):
    tag(str(tmp_path / "other"), "b", "b1", "b2", "b3")
    return str(tmp_path / "other")


@pytest.mark.parametrize("begun", [False, True], ids=["a new set", "an old set"])
@pytest.mark.parametrize(("owner", "step"), STEPS)
def test_of_two_runs_one_comes_first_and_the_other_again(
    tmp_path, output, mine, other, meanwhile, owner, step, begun
):
    """On each kind of file system; whoever comes late leaves nothing, and is not lost when it comes again."""
    before = []
    if begun:
        before = [f"z{number}" for number in range(20)]
        tag(str(tmp_path / "old"), "z", *before)
        compact(str(tmp_path / "old"), output)
    meanwhile(owner, step, lambda: compact(other, output))
    with pytest.raises(CommitError, match=r"another compaction came first.* Run the same command again"):
        compact(mine, output)
    assert documents_in(output) == sorted([*before, "b1", "b2", "b3"])
    states, tables = files_in(output)
    assert len(states) == len(tables) == 1 + begun
    assert compact(mine, output).new == 1
    assert documents_in(output) == sorted([*before, "a1", "a2", "b1", "b2", "b3"])


def test_a_run_whose_parts_were_folded_away_before_it_read_them_says_so(tmp_path, mine, other, meanwhile):
    target = str(tmp_path / "set")
    compact(other, target)
    tag(other, "c", "c1")
    meanwhile(compaction, "spilled", lambda: compact(other, target, fold=True))
    with pytest.raises(CommitError, match=r"-000-\w+.parquet is gone. If another compaction came first"):
        compact(mine, target)
    compact(mine, target)
    assert documents_in(target) == ["a1", "a2", "b1", "b2", "b3", "c1"]


def test_a_run_that_was_passed_by_two_does_not_take_the_free_number(tmp_path, output, mine, other, meanwhile):
    """It creates state 1 when states 2 and 3 are there and 1 is gone, and takes it back."""

    def three_more():
        for number in range(3):
            tag(other, f"c{number}", f"c{number}")
            compact(other, output)

    meanwhile(OutputFolder, "create_json", three_more)
    with pytest.raises(CommitError, match="another compaction came first"):
        compact(mine, output)
    assert files_in(output)[0] == ["00002.json", "00003.json"]
    assert documents_in(output) == ["b1", "b2", "b3", "c0", "c1", "c2"]
    compact(mine, output)
    assert documents_in(output) == ["a1", "a2", "b1", "b2", "b3", "c0", "c1", "c2"]


@pytest.mark.parametrize("more", [1, 3])
def test_a_run_that_others_went_on_from_came_first(tmp_path, mine, other, meanwhile, more):
    """Higher states are there when it looks, and they list its part: nothing of it is removed."""
    target = str(tmp_path / "set")
    tag(mine, "z", *(f"z{number}" for number in range(20)))

    def proceed():
        for number in range(more):
            tag(other, f"c{number}", f"c{number}")
            compact(other, target)

    meanwhile(OutputFolder, "create_json", proceed, after=True)
    assert compact(mine, target).new == 2
    assert len(documents_in(target)) == 22 + 3 + more


def test_a_run_whose_part_others_folded_loses_nothing_either(tmp_path, mine, other, meanwhile):
    """Nothing of its own is there to tell by when it looks, so it asks for another time."""
    target = str(tmp_path / "set")
    meanwhile(OutputFolder, "create_json", lambda: compact(other, target, fold=True), after=True)
    with pytest.raises(CommitError, match="another compaction came first"):
        compact(mine, target)
    assert documents_in(target) == ["a1", "a2", "b1", "b2", "b3"]
    assert compact(mine, target).new == 0


def test_an_upload_that_was_tried_twice_came_first(tmp_path, mine, monkeypatch):
    """The first try was answered too late; the second learns that the state is there."""
    target = str(tmp_path / "set")
    create = OutputFolder.create_json
    monkeypatch.setattr(OutputFolder, "create_json", lambda *call: create(*call) and False)
    assert compact(mine, target).new == 1
    assert documents_in(target) == ["a1", "a2"]


def test_what_a_killed_run_left_goes_and_what_a_later_run_writes_stays(tmp_path, mine, other, meanwhile):
    target = str(tmp_path / "set")

    class Killed(BaseException):
        pass

    def kill():
        raise Killed

    meanwhile(OutputFolder, "create_json", kill)
    with pytest.raises(Killed):
        compact(mine, target)
    assert files_in(target) == ([], ["00001-000"])
    later = [tmp_path / "set" / table / "00002-000-0123abcd.parquet" for table in ("documents", "mentions")]
    for path in later:
        path.write_bytes(b"half")
    compact(other, target)
    assert files_in(target) == (["00001.json"], ["00001-000", "00002-000"])
    assert documents_in(target) == ["b1", "b2", "b3"]
    # The next run takes that number, so the other came too late, if it lives at all.
    compact(mine, target)
    assert not any(path.exists() for path in later)
    assert documents_in(target) == ["a1", "a2", "b1", "b2", "b3"]
