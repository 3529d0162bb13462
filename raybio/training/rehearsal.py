"""A rehearsal: a few steps of the very job on this machine, before a model is fetched or rented for.

Where the model is not at hand, one of its full size with random weights stands in for it. What is
measured (memory, seconds) does not depend on what weights say; the tags mean nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

from raybio.cluster import connected
from raybio.config import TrainDecoderConfig, TrainEncoderConfig, WorkersSection, sections_of
from raybio.errors import UsageError
from raybio.joining import joins_a_cluster
from raybio.model_sources import model_at_hand
from raybio.sentence_stream import sentence_of
from raybio.taggers import load_tagger
from raybio.taggers.devices import accelerator
from raybio.taggers.hugging_face import read_tokenizer
from raybio.training.decoder import train_decoder
from raybio.training.encoder import train_encoder
from raybio.training.encoder_preflight import estimate_encoder
from raybio.training.preflight import Preflight, Row, estimate, training_split
from raybio.training.recipes import AdapterRecipe, EncoderRecipe, Scoring, tagging_recipe
from raybio.training.rehearsal_room import check_room
from raybio.training.rehearsed_job import (
    Rehearsable,
    chosen_rows,
    generated_rows,
    rehearsed_config,
    write_rows,
)
from raybio.training.shapes import shape_of
from raybio.training.stand_in import write_stand_in
from raybio.training.stand_in_tokenizer import stand_in_tokenizer
from raybio.training.worker_memory import WorkerMemory

_TRAINS, _TAGS = "TrainWorker", "tag_one"  # in what Ray calls its workers
_TEXTS = 2000  # sentences that a stand-in's tokenizer is learned from


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was measured, beside what was estimated.

    `rehearsed` is the preflight of the very steps that were taken, `whole` that of the config as it is.
    Bytes are the most that one worker held: on a GPU what torch had allocated there, on a CPU what its
    process had for itself. `step_seconds` is the median of the steps, without the first where there are
    more; `training_hours` what all epochs take at this speed by their tokens, None where the corpus is
    not at hand. `changes` says in what the rehearsal differed from the job.
    """

    rehearsed: Preflight
    whole: Preflight
    steps: int
    step_seconds: float
    training_bytes: int
    tagging_bytes: int
    training_hours: float | None
    cpus: float
    gpus: int
    accelerator: str | None
    changes: tuple[str, ...]
    words: tuple[str, ...]
    tags: tuple[str, ...]


def rehearse(
    config: Rehearsable, steps: int, keep: str | None = None, progress: Callable[[str], None] = print
) -> Rehearsal:
    """Take `steps` optimizer steps of a training job, save, reload and tag a sentence, all on this machine.

    No weights are downloaded. Files go to a temporary folder, or to `keep`, where they stay.

    Raises:
        ConfigError: the preflight knows why this run would fail.
        ModelError: there is no such model.
        TrainingError: there is not enough memory or disk here, or the workers failed.
        UsageError: RAY_ADDRESS names a cluster, or `keep` is a folder with something in it.
    """
    if joins_a_cluster() and not ray.is_initialized():
        raise UsageError("a rehearsal measures this machine, and RAY_ADDRESS names a cluster. Unset it")
    with _folder(keep) as folder, connected():
        return _rehearse(config, steps, folder, progress)


def _rehearse(config: Rehearsable, steps: int, folder: Path, progress: Callable[[str], None]) -> Rehearsal:
    gpus = int(ray.cluster_resources().get("GPU", 0))
    _, rows, no_corpus, _ = training_split(config.corpus)
    sentences = rows or generated_rows(folder, [section.name for section in sections_of(config.corpus)])
    architecture = shape_of(config.model, config.allow_pickle)
    base = model_at_hand(config.model, allow_pickle=config.allow_pickle)
    texts = [" ".join(row["words"]) for row in sentences[:_TEXTS]]
    tokenizer = read_tokenizer(base) if base else stand_in_tokenizer(architecture, texts)
    job, changes = rehearsed_config(config, folder, gpus)
    short = isinstance(job, TrainDecoderConfig) and not gpus
    chosen = chosen_rows(sentences, steps * job.training.batch_size, shortest=short)
    whole = _estimate(tagging_recipe(config), config.workers, architecture, tokenizer, rows)
    rehearsed = _estimate(tagging_recipe(job), job.workers, architecture, tokenizer, chosen)
    dtype = architecture.dtype or (torch.bfloat16 if isinstance(job, TrainDecoderConfig) else torch.float32)
    check_room(rehearsed, folder, bool(gpus), 0 if base else _parameters(whole) * dtype.itemsize)
    write_rows(chosen, folder)
    if steps == 1:
        changes.append(
            "a single step makes the optimizer's states after its activations: take 2 for the peak"
        )
    if no_corpus:
        changes.append(f"generated sentences: {no_corpus}")
    if base is None:
        base = folder / "base"
        progress(f"writing random weights at full size, {_parameters(whole):,} parameters")
        writes = isinstance(job, TrainDecoderConfig)
        make = AutoModelForCausalLM if writes else AutoModelForTokenClassification
        write_stand_in(base, make, architecture, tokenizer, dtype)
        changes.append("random weights, and a tokenizer made here")
    job = job.model_copy(update={"model": str(base)})
    memory = WorkerMemory()
    with memory.sampled():
        if isinstance(job, TrainEncoderConfig):
            run = train_encoder(job, progress, score=False).run
        else:
            run = train_decoder(job, progress, score=False).run
        progress("reading the saved model back, to tag a sentence")
        tagging: Any = ray.remote(num_cpus=job.workers.cpus_per_worker, num_gpus=min(gpus, 1), max_retries=0)(
            tag_one
        )
        tags: list[str] = ray.get(tagging.remote(run.model, dict(chosen[0]), _loading(job)))
    measured = run.metrics()[-1]
    step_seconds = float(measured["step_seconds"])
    if "dev_strict_f1" not in measured:
        changes.append(f"dev was not scored, for the reason in {run.path / 'log.txt'}, as in the job itself")
    return Rehearsal(
        rehearsed=rehearsed,
        whole=whole,
        steps=int(measured["steps"]),
        step_seconds=step_seconds,
        training_bytes=int(measured.get("peak_gpu_bytes", memory.peak(_TRAINS))),
        tagging_bytes=memory.peak(_TAGS),
        training_hours=_hours(config.training.epochs, whole, rehearsed, step_seconds),
        cpus=job.workers.cpus_per_worker * job.workers.num_workers,
        gpus=job.workers.num_workers if gpus else 0,
        accelerator=accelerator(),
        changes=tuple(changes),
        words=tuple(chosen[0]["words"]),
        tags=tuple(tags),
    )


def _estimate(
    recipe: EncoderRecipe | AdapterRecipe,
    workers: WorkersSection,
    architecture: Any,
    tokenizer: Any,
    rows: Sequence[Row],
) -> Preflight:
    labels = sorted({tag[2:] for row in rows for tag in row["tags"] if tag != "O"}) or ["Entity"]
    if isinstance(recipe, EncoderRecipe):
        return estimate_encoder(recipe, workers, architecture, tokenizer, labels, rows)
    return estimate(recipe, workers, architecture, tokenizer, labels, rows)


def _loading(job: Rehearsable) -> Mapping[str, Any]:
    """Return how the run's model is loaded: as it is scored, but in 4 bits where it was trained so.

    Unpacked it might not fit where it was trained.
    """
    loading = Scoring.of(job).loading
    packed = isinstance(job, TrainDecoderConfig) and job.quantization.bits == 4 and job.merge == "none"
    return {**loading, "precision": "4bit"} if packed and "decoding" in loading else loading


def _parameters(found: Preflight) -> int:
    return found.sizes.base or found.sizes.learning


def _hours(epochs: int, whole: Preflight, rehearsed: Preflight, step_seconds: float) -> float | None:
    """Return the hours of all epochs, each token taking as long as those that were rehearsed."""
    if whole.corpus is None or whole.corpus.passes is None:
        return None
    assert rehearsed.corpus and rehearsed.corpus.passes, "the rehearsal has a corpus"
    tokens = rehearsed.corpus.passes.tokens / rehearsed.corpus.passes.steps
    return epochs * whole.corpus.passes.tokens * step_seconds / tokens / 3600


def tag_one(model: Path, row: dict[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Load a model and tag one row's words; its name is what its worker is known by."""
    return list(load_tagger(model, **options).tag([sentence_of(row)])[0].tags)


@contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="rehearsal-") as name:
            yield Path(name)
        return
    folder = Path(keep).absolute()
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{keep} is not empty. Name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
