"""The job that a rehearsal runs: its config, with a few sentences and without what this machine lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from raybio.config import (
    CorpusSection,
    DistillationSection,
    LoggingSection,
    TrainDecoderConfig,
    TrainEncoderConfig,
)
from raybio.corpora.names import CORPORA
from raybio.corpora.sample import generate_sample
from raybio.entities import Span
from raybio.iob2 import tags_from_spans
from raybio.sentence_stream import read_sentences
from raybio.training.preflight import Row
from raybio.training.recipes import AdapterRecipe

Rehearsable: TypeAlias = TrainEncoderConfig | TrainDecoderConfig
_NAME = "rehearsal"


def rehearsed_config(config: Rehearsable, folder: Path, gpus: int) -> tuple[Rehearsable, list[str]]:
    """Return the config of a rehearsal in `folder` on `gpus` GPUs, and in what it differs but for length."""
    changes = []
    training: dict[str, object] = {"epochs": 1, "early_stopping_patience": 0, "keep_checkpoint": "last"}
    workers = config.workers.model_copy(
        update={
            "accelerator": "gpu" if gpus else "cpu",
            "num_workers": min(config.workers.num_workers, gpus or 1),
            "max_failures": 0,
        }
    )
    update: dict[str, object] = {
        "workers": workers,
        "sweep": {},
        "output": str(folder / "runs"),
        "name": _NAME,
        "resume": False,
        "test": False,
        "bootstrap": 0,
        "logging": LoggingSection(tensorboard=False),
        "corpus": _corpus(folder),
    }
    if workers.num_workers < config.workers.num_workers:
        changes.append(f"{workers.num_workers} of {config.workers.num_workers} workers")
    if not gpus and config.workers.accelerator == "gpu":
        changes.append("on the CPU: there is no GPU here")
    if isinstance(config, TrainEncoderConfig) and config.distillation.teachers:
        update["distillation"] = DistillationSection()
        changes.append("without its teachers")
    if isinstance(config, TrainDecoderConfig) and not gpus:
        training["batch_size"] = 1
        changes.append("one short sentence a step: an LLM on a CPU")
        if AdapterRecipe.of(config).takes_paged(gpu=False):
            training["optimizer"] = "adamw"
            changes.append("adamw, whose states are fp32, in place of paged-adamw-8bit: that needs a GPU")
    update["training"] = config.training.model_copy(update=training)
    return config.model_copy(update=update), changes


def generated_rows(folder: Path, names: Sequence[str | None]) -> list[Row]:
    """Return sentences of the sample with the labels of corpora, by their names, that are not at hand."""
    known = sorted({label for name in names if name in CORPORA for label in CORPORA[name].labels})
    labels = known or ("Entity",)
    generate_sample(folder / "sample", citations=1)
    rows: list[Row] = []
    for sentence in read_sentences(_corpus(folder / "sample"), "train"):
        gold = sentence.gold or ()
        spans = [Span(span.start, span.end, labels[i % len(labels)]) for i, span in enumerate(gold)]
        tags = tags_from_spans(spans, len(sentence.words))
        rows.append(
            {"id": sentence.id, "document_id": sentence.document_id, "words": sentence.words, "tags": tags}
        )
    return rows


def chosen_rows(rows: Sequence[Row], count: int, shortest: bool) -> list[Row]:
    """Return `count` rows with entities: the shortest, or evenly from the shorter to the longest of all.

    Where there are fewer, they are repeated.
    """
    by_length = sorted((row for row in rows if any(tag != "O" for tag in row["tags"])), key=_length)
    by_length *= -(-count // len(by_length))
    if shortest:
        return by_length[:count]
    return [by_length[(i + 1) * len(by_length) // count - 1] for i in range(count)]


def write_rows(rows: Sequence[Row], folder: Path) -> None:
    """Write train.tsv, and its shortest sentence as dev.tsv and test.tsv."""
    for split, chosen in (("train", rows), ("dev", rows[:1]), ("test", rows[:1])):
        text = "\n".join(
            "".join(f"{word}\t{tag}\n" for word, tag in zip(row["words"], row["tags"], strict=True))
            for row in chosen
        )
        (folder / f"{split}.tsv").write_text(text, encoding="utf-8")


def _corpus(folder: Path) -> CorpusSection:
    train, dev, test = (str(folder / f"{split}.tsv") for split in ("train", "dev", "test"))
    return CorpusSection(train=train, dev=dev, test=test, format="iob2")


def _length(row: Row) -> int:
    return len(row["words"])
