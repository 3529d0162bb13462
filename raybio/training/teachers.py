"""Distillation (Hinton et al., 2015): what trained taggers answer, as what a student learns from.

A Ray Data stage asks them once, before training, and the run folder keeps what they said, so that an
epoch costs what it costs without them. They speak through the Tagger protocol, a tag and its
probability for each word, so that encoders and LLMs of any vocabulary can teach together: of the
probability that an answer leaves, each other tag gets an equal part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import cast

import numpy as np
import pyarrow as pa
import ray.data
from numpy.typing import NDArray
from ray.exceptions import RayError

from raybio.config import CorpusSection, DistillationSection, WorkersSection
from raybio.config.decoding import TaggerPrecision
from raybio.errors import TrainingError
from raybio.iob2 import tag_set
from raybio.model_sources import ModelReference
from raybio.progress import Progress, ProgressReports
from raybio.run_folder import RunFolder
from raybio.sentence_stream import (
    SENTENCES,
    check_text,
    dataset_of,
    read_sentences,
    read_text,
    sentence_of,
    sentence_tables,
)
from raybio.taggers import Tagger, Tags, check_tagger, load_tagger
from raybio.training.callbacks import cause_of
from raybio.training.rows_file import read_rows, write_rows
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


def taught_dataset(
    teachers: Sequence[ModelReference],
    distillation: DistillationSection,
    corpus: CorpusSection,
    labels: Sequence[str],
    run: RunFolder,
    workers: WorkersSection,
) -> ray.data.Dataset:
    """Return the train split, and the text, with what the teachers answer in one worker's place.

    A row has, beside (id, document_id, words, tags), "shares": for each word the share of each tag of
    `tag_set(labels)`. An annotated sentence keeps its tags; text gets those with the largest share.
    The answers are kept in the run folder, and read from there when the run is resumed.

    Raises:
        TrainingError: a teacher has other labels or cannot be loaded, or a file of text cannot be read.
    """
    path = run.path / _ANSWERS
    if not path.exists():
        run.say(f"teachers that answer: {', '.join(distillation.teachers)}")
        sentences = functools.partial(_sentences, distillation, corpus)
        # How many sentences files of text have, nobody knows before they are read.
        total = None if distillation.text else sum(len(table) for table in sentences())
        reports = ProgressReports(run.say, _TASK, _UNIT, total)
        answers = dataset_of(sentences).map_batches(
            _Teachers,
            fn_constructor_args=(teachers, distillation, tuple(labels), reports),
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
    return dataset_of(lambda: read_rows(path))


def _sentences(distillation: DistillationSection, corpus: CorpusSection) -> Iterator[pa.Table]:
    """Yield what the teachers are to answer: the train split, then the text."""
    yield from sentence_tables(read_sentences(corpus, "train"))
    yield from sentence_tables(read_text(distillation.text, distillation.max_text_documents))


class _Teachers:
    """The teachers in one process; they report how many sentences they have answered."""

    def __init__(
        self,
        teachers: Sequence[ModelReference],
        distillation: DistillationSection,
        labels: Sequence[str],
        report: Callable[[int], None],
    ) -> None:
        self._report, self._answered = report, 0
        self._tags = tag_set(labels)
        self._teachers, self._distillation = teachers, distillation
        self._labels = labels

    @cached_property
    def _taggers(self) -> list[Tagger]:
        # Not in the constructor: Ray Data would start an actor that fails there again and again.
        return [_load(each, self._distillation.precision, self._labels) for each in self._teachers]

    def __call__(self, table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        sentences = [sentence_of(row) for row in rows]
        answers = [tagger.tag(sentences) for tagger in self._taggers]
        for row, *of_sentence in zip(rows, *answers, strict=True):
            shares = mean_shares(of_sentence, self._tags)
            if row["tags"] is None:
                row["tags"] = [self._tags[best] for best in shares.argmax(axis=1)]
            else:
                shares *= self._distillation.weight
                gold = [self._tags.index(tag) for tag in row["tags"]]
                shares[np.arange(len(gold)), gold] += 1 - shares.sum(axis=1)
            row["shares"] = shares.tolist()
        self._answered += len(rows)
        self._report(self._answered)
        return pa.Table.from_pylist(rows, schema=_TAUGHT)


def mean_shares(answers: Sequence[Tags], tags: Sequence[str]) -> NDArray[np.float32]:
    """Return the (words, tags) mean of what several taggers say of one sentence.

    The row of a word sums to 1, or to 0 where nobody has an answer: it teaches nothing then.
    """
    total = np.sum([_shares(answer, tags) for answer in answers], axis=0, dtype=np.float32)
    mean: NDArray[np.float32] = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    return mean


def _shares(answer: Tags, tags: Sequence[str]) -> NDArray[np.float32]:
    """Return the (words, tags) shares of one answer; a score of 0 marks a word that an LLM left out."""
    scores = np.array(answer.scores, dtype=np.float32)
    shares: NDArray[np.float32] = np.repeat((1 - scores)[:, None] / (len(tags) - 1), len(tags), axis=1)
    shares[np.arange(len(scores)), [tags.index(tag) for tag in answer.tags]] = scores
    shares[scores == 0] = 0
    return shares


def _load(teacher: ModelReference, precision: TaggerPrecision, labels: Sequence[str]) -> Tagger:
    tagger = load_tagger(teacher.folder(), precision=precision)
    if sorted(tagger.labels) != sorted(labels):
        raise TrainingError(
            f"the teacher {teacher.name} has {', '.join(sorted(tagger.labels))}, but the training split has "
            f"{', '.join(sorted(labels))}. Name teachers that were trained on these very labels"
        )
    return tagger
