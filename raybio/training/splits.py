"""The splits of the corpus as a worker reads them from Ray Data.

All workers see the same stream in the same order, and share each batch: their number does not change what a
batch is. Of a train split that is too large for that each reads a part of its own, and makes its part of
each batch from it (`parts`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, TypeVar

import ray.train

from raybio.entities import Sentence
from raybio.members import Member
from raybio.sentence_stream import rows, sentence_of
from raybio.training import steps
from raybio.training.parts import Part
from raybio.training.recipes import AnyRecipe, Task
from raybio.training.workers import Workers

SHUFFLE_BUFFER = 50_000
T = TypeVar("T")
_Row = dict[str, Any]


class TrainingBatches:
    """The training split as this worker's parts of batches, in an order that seed and epoch decide.

    `examples_of` turns a row (id, document_id, words, tags, member, and shares where teachers answered)
    into what is learned from it in an epoch, the same number of examples in each. Rows of the task's members
    are drawn as often as these say.
    `len` is the number of batches in an epoch; where not all is drawn, windows of long sentences may make a
    few more or less in others than the first. Every worker must make one, since they count them together.
    """

    def __init__(
        self,
        task: Task[AnyRecipe],
        workers: Workers,
        examples_of: Callable[[dict[str, Any], int], Iterable[steps.Example]],
    ) -> None:
        self._training, self._seed = task.recipe.training, task.recipe.seed
        self._workers = workers
        self._examples_of = examples_of
        self._members: Sequence[Member] = task.members
        self._part: Part | None = None
        if task.in_parts:
            self._part = part = Part(workers.rank, workers.world, self._training.batch_size)
            self._members = [part.of_member(member) for member in task.members]
        self._length = workers.most(sum(1 for _ in self.epoch(0)))

    def __len__(self) -> int:
        return self._length

    def epoch(self, number: int) -> Iterator[Sequence[steps.Example]]:
        """Yield this worker's part of each batch of epoch `number`; others may have one more."""
        part, seed = self._part, self._seed * 1_000 + number
        rows = split_rows(part.split if part else "train")
        mixed = steps.shuffled(drawn_rows(rows, self._members, seed), SHUFFLE_BUFFER, seed)
        examples = (example for row in mixed for example in self._examples_of(row, number))
        size, by_length = self._training.batch_size, self._training.group_by_length
        # By the same seed for all, so that at each step they have sentences of like length.
        batches = steps.batches(examples, part.of(size) if part else size, seed, by_length)
        return batches if part else map(self._workers.share, batches)


def drawn_rows(rows: Iterable[_Row], members: Sequence[Member], seed: int) -> Iterator[_Row]:
    """Yield each row as often as an epoch draws it, in order: of each member exactly its `draws`.

    What all its sentences are drawn alike leaves over goes to a sample of them (Knuth's algorithm S), which
    `seed` decides. Rows of no member are drawn once.
    """
    rng = random.Random(seed)  # noqa: S311
    unread = [member.sentences for member in members]
    wanted = [member.draws % max(1, member.sentences) for member in members]
    for row in rows:
        times, number = 1, row.get("member")
        if members and number is not None:
            once_more = rng.random() * unread[number] < wanted[number]
            unread[number] -= 1
            wanted[number] -= once_more
            times = members[number].draws // members[number].sentences + once_more
        yield from repeat(row, times)


def dev_split(count: int | None, members: Sequence[Member]) -> list[tuple[Member, list[Sentence]]]:
    """Return the sentences that an epoch is scored on, of each member, in order: `count` in all, or all."""
    chosen = at_even_distances(list(split_rows("dev")), count)
    return [
        (member, [sentence_of(row) for row in chosen if row["member"] == number])
        for number, member in enumerate(members)
    ]


def at_even_distances(items: Sequence[T], count: int | None) -> list[T]:
    """Return `count` of the items, at even distances; all where there are no more, or None is asked for."""
    if count is None or count >= len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def split_rows(split: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of "train", "dev" or a part of train as this worker's Ray Data hands them out."""
    shard = ray.train.get_dataset_shard(split)
    return rows(iter(shard.iter_batches(batch_size=1024, batch_format="pyarrow", prefetch_batches=1)))
