"""What workers read of a large train split: each row by one of them, and each corpus as often as before."""

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from raybio.config import CorpusSection
from raybio.members import Member
from raybio.training.parts import Part

FILES = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
WORLDS, BATCHES = st.integers(1, 9), st.integers(1, 40)


def parts_of(world: int, batch_size: int) -> list[Part]:
    return [Part(rank, world, batch_size) for rank in range(world)]


def tables_of(members: list[int | None], size: int) -> list[pa.Table]:
    rows = [{"id": str(i), "member": member} for i, member in enumerate(members)]
    schema = pa.schema([("id", pa.string()), ("member", pa.int32())])
    return [pa.Table.from_pylist(rows[i : i + size], schema) for i in range(0, len(rows), size)]


@given(st.lists(st.sampled_from([0, 1, None]), max_size=200), st.integers(1, 30), WORLDS, BATCHES)
def test_each_row_has_one_reader(members, size, world, batch_size):
    tables = tables_of(members, size)
    read = [
        [row for table in part.rows(lambda: tables) for row in table.to_pylist()]
        for part in parts_of(world, batch_size)
    ]
    assert sorted(int(row["id"]) for part in read for row in part) == [*range(len(members))]
    for part, own in zip(parts_of(world, batch_size), read, strict=True):
        of_members = Counter(row["member"] for row in own)
        for member, count in Counter(members).items():
            assert of_members[member] == part.of(count)


@given(st.integers(0, 500), WORLDS, BATCHES)
def test_parts_are_as_large_as_what_is_learned_of_them_in_a_step(count, world, batch_size):
    parts = parts_of(world, batch_size)
    assert sum(part.of(batch_size) for part in parts) == batch_size
    steps = [-(-part.of(count) // part.of(batch_size)) for part in parts if part.of(batch_size)]
    assert max(steps) == -(-count // batch_size) and max(steps) - min(steps) <= 1
    assert not any(part.of(count) for part in parts if not part.of(batch_size))


@given(st.integers(0, 300), st.integers(0, 1000), WORLDS, BATCHES)
def test_all_parts_together_draw_a_corpus_as_often_as_the_whole(sentences, draws, world, batch_size):
    draws = draws if sentences else 0
    whole = Member(FILES, "a", sentences=sentences, draws=draws)
    own = [part.of_member(whole) for part in parts_of(world, batch_size)]
    assert (sum(each.sentences for each in own), sum(each.draws for each in own)) == (sentences, draws)
    for each in own:
        times = draws // max(1, sentences)
        assert times * each.sentences <= each.draws <= (times + 1) * each.sentences


def test_rows_of_a_run_of_before_say_no_corpus():
    table = pa.table({"id": ["a", "b", "c"]})
    read = [own for part in parts_of(2, 4) for own in part.rows(lambda: [table])]
    assert [each["id"].to_pylist() for each in read] == [["a", "c"], ["b"]]
