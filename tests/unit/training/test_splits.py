"""How often an epoch draws a sentence of a corpus, and which worker learns it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybio.config import CorpusSection, TrainingSection, WorkersSection
from raybio.members import Member
from raybio.training import splits
from raybio.training.parts import Part
from raybio.training.recipes import EncoderRecipe, Task
from raybio.training.splits import TrainingBatches, drawn_rows
from raybio.training.steps import Example

FILES = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
COUNTS = st.tuples(st.integers(1, 20), st.integers(0, 70))


@given(st.lists(COUNTS, min_size=1, max_size=4), st.integers(0, 99), st.randoms(use_true_random=False))
def test_of_each_member_exactly_its_draws_and_no_sentence_twice_more_than_another(counts, seed, random):
    members = [Member(FILES, str(i), sentences=n, draws=k) for i, (n, k) in enumerate(counts)]
    rows = [{"id": f"{i}-{j}", "member": i} for i, (n, _) in enumerate(counts) for j in range(n)]
    rows += [{"id": "text", "member": None}]
    random.shuffle(rows)
    drawn = list(drawn_rows(iter(rows), members, seed))
    assert drawn == list(drawn_rows(iter(rows), members, seed))
    times = Counter(row["id"] for row in drawn)
    assert times["text"] == 1
    for i, (sentences, draws) in enumerate(counts):
        of_member = [times[f"{i}-{j}"] for j in range(sentences)]
        assert sum(of_member) == draws and max(of_member) - min(of_member) <= 1


def test_one_corpus_is_read_as_it_stands():
    rows = [{"id": str(i), "member": 0} for i in range(50)]
    member = Member(FILES, "a", sentences=50, draws=50)
    assert list(drawn_rows(iter(rows), [member], 1)) == rows
    assert list(drawn_rows(iter([{"id": "of a run of before"}]), [member], 1)) == [
        {"id": "of a run of before"}
    ]


def test_another_seed_leaves_out_others():
    rows = [{"id": str(i), "member": 0} for i in range(50)]
    members = [Member(FILES, "a", sentences=50, draws=25)]
    assert list(drawn_rows(rows, members, 1)) != list(drawn_rows(rows, members, 2))


class OneOf:
    """A worker that counts alone."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world

    def most(self, value: int) -> int:
        return value

    def share(self, items: Any) -> Any:
        return items[self.rank :: self.world]


def batches_of(
    rank: int, world: int, rows: list[dict[str, Any]], draws: int, in_parts: bool
) -> TrainingBatches:
    """What a worker learns of rows that Ray Data hands out."""
    training = TrainingSection(batch_size=5)
    recipe = EncoderRecipe("m", 3, training, "as-trained")
    members = (Member(FILES, "a", sentences=len(rows), draws=draws),)
    task = Task(cast("Any", None), cast("Any", None), Path(), recipe, WorkersSection(), in_parts=in_parts)
    task = replace(task, members=members)
    return TrainingBatches(
        task, cast("Any", OneOf(rank, world)), lambda row, _: [Example([int(row["id"])] * row["length"], [])]
    )


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize(("in_parts", "draws"), [(False, 203), (True, 203), (True, 450), (True, 60)])
def test_workers_learn_all_that_an_epoch_draws(monkeypatch, world, in_parts, draws):
    rows = [{"id": str(i), "member": 0, "length": 1 + i % 7} for i in range(203)]

    def read(split: str) -> Any:
        if not in_parts:
            assert split == "train"
            return iter(rows)
        part = Part(int(split.removeprefix("train-")), world, 5)
        return (row for table in part.rows(lambda: [pa.Table.from_pylist(rows)]) for row in table.to_pylist())

    monkeypatch.setattr(splits, "split_rows", read)
    workers = [batches_of(rank, world, rows, draws, in_parts) for rank in range(world)]
    epochs = [[*worker.epoch(2)] for worker in workers]
    assert [len(worker) for worker in workers] == [len(epoch) for epoch in epochs]
    learned = Counter(example.ids[0] for epoch in epochs for batch in epoch for example in batch)
    assert sum(learned.values()) == draws
    assert set(learned.values()) <= {draws // 203, draws // 203 + 1}
    whole = [batch for batch in zip(*epochs, strict=False) if sum(map(len, batch)) == 5]
    assert len(whole) >= draws // 5 - 2 * world
    if not in_parts:
        alone = [*batches_of(0, 1, rows, draws, False).epoch(2)]
        together = [sorted(e.ids for part in batch for e in part) for batch in zip(*epochs, strict=True)]
        assert together == [sorted(e.ids for e in batch) for batch in alone]
