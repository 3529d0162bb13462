"""Distillation (Hinton et al., 2015): what trained taggers answer, as what a student learns from.

A Ray Data stage asks them once, before training, and the run folder keeps what they said, so that an
epoch costs what it costs without them. They speak through the Tagger protocol, a tag and its
probability for each word, so that encoders and LLMs of any vocabulary can teach together: of the
probability that an answer leaves, each other tag gets an equal part. A teacher answers for its own labels:
each tag's share is the mean of the teachers that know it, and what is left is that of no entity.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import cast

import numpy as np
import pyarrow as pa
import ray.data
from numpy.typing import NDArray
from ray.exceptions import RayError

from raybio.config import DistillationSection, WorkersSection
from raybio.config.decoding import TaggerPrecision
from raybio.errors import TrainingError
from raybio.iob2 import OUTSIDE, label_of, tag_set
from raybio.members import Member, train_and_text_tables
from raybio.model_sources import ModelReference
from raybio.progress import Progress, ProgressReports
from raybio.ray_messages import cause_of
from raybio.run_folder import RunFolder
from raybio.sentence_stream import (
    SENTENCES,
    check_text,
    dataset_of,
    sentence_of,
)
from raybio.taggers import Tagger, Tags, check_tagger, load_tagger
from raybio.training.parts import TrainRows
from raybio.training.rows_file import count_rows, read_rows, write_rows
from raybio.training.scoring import uses_gpu

_BATCH_SENTENCES = 512
_ANSWERS = "taught.parquet"
_TASK, _UNIT = "teachers", "sentence"
_TAUGHT = SENTENCES.append(pa.field("shares", pa.list_(pa.list_(pa.float32()))))


def check_teachers(distillation: DistillationSection, allow_pickle: bool) -> list[ModelReference]:
    """See that there are all teachers and files of text, before a run begins; return the teachers.

    Raises:
        ModelError: a teacher is not there, or cannot tag.
        UsageError, InputError: the first document of a file of text cannot be read.
    """
    teachers = [ModelReference.of(name, allow_pickle=allow_pickle) for name in distillation.teachers]
    for teacher in teachers:
        check_tagger(teacher.folder(), precision=distillation.precision)
    check_text(distillation.text)
    return teachers


def taught_rows(
    teachers: Sequence[ModelReference],
    distillation: DistillationSection,
    members: Sequence[Member],
    labels: Sequence[str],
    run: RunFolder,
    workers: WorkersSection,
) -> TrainRows:
    """Return the train split, and the text, with what the teachers answer in one worker's place.

    A row has, beside (id, document_id, words, tags), "shares": for each word the share of each tag of
    `tag_set(labels)`. An annotated sentence keeps its tags; text gets those with the largest share.
    The answers are kept in the run folder, and read from there when the run is resumed.

    Raises:
        TrainingError: the teachers have other labels or cannot be loaded, or a file of text cannot be read.
    """
    path = run.path / _ANSWERS
    if not path.exists():
        run.say(f"teachers that answer: {', '.join(distillation.teachers)}")
        sentences = functools.partial(
            train_and_text_tables, members, distillation.text, distillation.max_text_documents
        )
        # How many sentences files of text have, nobody knows before they are read.
        total = None if distillation.text else sum(len(table) for table in sentences())
        reports = ProgressReports(run.say, _TASK, _UNIT, total)
        answers = dataset_of(sentences).map_batches(
            _Teachers,
            fn_constructor_args=(teachers, distillation, tuple(labels), reports, tuple(members)),
            batch_size=_BATCH_SENTENCES,
            batch_format="pyarrow",
            num_cpus=workers.cpus_per_worker,
            num_gpus=1 if uses_gpu(workers) else 0,
            compute=ray.data.ActorPoolStrategy(size=1),  # one answers in order
        )
        try:
            tables = answers.iter_batches(batch_size=None, batch_format="pyarrow")
            count = write_rows(cast("Iterator[pa.Table]", tables), path, _TAUGHT)
        except RayError as error:
            raise TrainingError(f"the teachers could not answer: {cause_of(error)}") from error
        if distillation.text:  # only now is it known how many there are
            run.say(str(Progress(_TASK, _UNIT, count, count)))
        run.say(f"learning from {count:,} sentences that they tagged: {path.name}")
    return TrainRows(functools.partial(read_rows, path), count_rows(path))


class _Teachers:
    """The teachers in one process; they report how many sentences they have answered."""

    def __init__(
        self,
        teachers: Sequence[ModelReference],
        distillation: DistillationSection,
        labels: Sequence[str],
        report: Callable[[int], None],
        members: Sequence[Member] = (),
    ) -> None:
        self._report, self._answered = report, 0
        self._tags = tag_set(labels)
        self._teachers, self._distillation = teachers, distillation
        self._labels = labels
        self._allowed = [member.allows(labels) for member in members]

    @cached_property
    def _taggers(self) -> list[Tagger]:
        # Not in the constructor: Ray Data would start an actor that fails there again and again.
        taggers = [_load(each, self._distillation.precision, self._labels) for each in self._teachers]
        if unknown := {*self._labels} - {label for tagger in taggers for label in tagger.labels}:
            raise TrainingError(
                f"no teacher has the labels {', '.join(sorted(unknown))} of the training split. Name "
                "teachers that have all of them together"
            )
        return taggers

    def __call__(self, table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        sentences = [sentence_of(row) for row in rows]
        answers = [tagger.tag(sentences) for tagger in self._taggers]
        for row, *of_sentence in zip(rows, *answers, strict=True):
            shares = mean_shares(of_sentence, self._tags, [tagger.labels for tagger in self._taggers])
            if row["tags"] is None:
                row["tags"] = [self._tags[best] for best in shares.argmax(axis=1)]
            else:
                allowed = None if row["member"] is None else self._allowed[row["member"]]
                gold = _gold_shares(shares, [self._tags.index(tag) for tag in row["tags"]], allowed)
                shares *= self._distillation.weight
                shares += gold * (1 - shares.sum(axis=1, keepdims=True))
            row["shares"] = shares.tolist()
        self._answered += len(rows)
        self._report(self._answered)
        return pa.Table.from_pylist(rows, schema=_TAUGHT)


def mean_shares(
    answers: Sequence[Tags], tags: Sequence[str], labels: Sequence[Collection[str]]
) -> NDArray[np.float32]:
    """Return the (words, tags) mean of what several taggers, which have these labels, say of one sentence.

    The row of a word sums to 1, or to 0 where nobody has an answer: it teaches nothing then.
    """
    total = np.zeros((len(answers[0].tags), len(tags)), dtype=np.float32)
    asked = np.zeros_like(total)
    for answer, own in zip(answers, labels, strict=True):
        known = np.array([tag == OUTSIDE or label_of(tag) in own for tag in tags])
        shares = _shares(answer, tags, known)
        total += shares
        asked += known * shares.any(axis=1, keepdims=True)
    mean: NDArray[np.float32] = (total / np.maximum(asked, 1)).astype(np.float32)
    # One's "O" says only that it is nothing of its own.
    mean[:, 0] = np.maximum(0, 1 - mean[:, 1:].sum(axis=1)) * asked.any(axis=1)
    mean /= np.maximum(mean.sum(axis=1, keepdims=True), 1)
    return mean


def _shares(answer: Tags, tags: Sequence[str], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the (words, tags) shares of one answer; a score of 0 marks a word that an LLM left out."""
    scores = np.array(answer.scores, dtype=np.float32)
    shares: NDArray[np.float32] = ((1 - scores)[:, None] / (known.sum() - 1) * known).astype(np.float32)
    shares[np.arange(len(scores)), [tags.index(tag) for tag in answer.tags]] = scores
    shares[scores == 0] = 0
    return shares


def _gold_shares(
    shares: NDArray[np.float32], gold: Sequence[int], allowed: Sequence[bool] | None
) -> NDArray[np.float32]:
    """Return the (words, tags) shares that gold says, sure of each tag.

    Where it says no entity, and its corpus is silent, they are the teachers', of those tags that it allows.
    """
    sure: NDArray[np.float32] = np.eye(shares.shape[1], dtype=np.float32)[list(gold)]
    if allowed is not None:
        may_be = shares * np.array(allowed)
        total = may_be.sum(axis=1)
        silent = (np.array(gold) == 0) & (total > 0)
        sure[silent] = may_be[silent] / total[silent, None]
    return sure


def _load(teacher: ModelReference, precision: TaggerPrecision, labels: Sequence[str]) -> Tagger:
    tagger = load_tagger(teacher.folder(), precision=precision)
    if others := {*tagger.labels} - {*labels}:
        raise TrainingError(
            f"the teacher {teacher.name} has the labels {', '.join(sorted(others))} too, but the training "
            f"split has {', '.join(sorted(labels))}. Name teachers that were trained on these very labels"
        )
    return tagger
