"""Scores a trained model on a split, its sentences shared among the run's workers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

from raybio.config import TrainEncoderConfig, WorkersSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.run_folder import RunFolder
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.taggers import load_tagger


def uses_gpu(workers: WorkersSection) -> bool:
    """Say whether a job's workers get a GPU each: as configured, or where the cluster has any."""
    if workers.accelerator == "auto":
        return bool(ray.cluster_resources().get("GPU", 0))
    return workers.accelerator == "gpu"


def score_split(config: TrainEncoderConfig, run: RunFolder, split: str) -> dict[str, Any]:
    """Tag a split with the run's model; write the predictions and return both scorers' figures.

    The model is read back from the run folder, so that the figures are those of what was saved.
    """
    run.say(f"scoring {split}")
    gpus = 1.0 if uses_gpu(config.workers) else 0.0
    sentences = list(read_sentences(config.corpus, split))
    predicted = _tag(config, run.model, sentences, gpus)
    gold = [gold_tags(sentence) for sentence in sentences]
    run.write_predictions(
        split, ((list(s.words), g, p) for s, g, p in zip(sentences, gold, predicted, strict=True))
    )
    documents = [sentence.document_id for sentence in sentences]
    return evaluate(gold, predicted, documents, config.bootstrap, config.seed).to_dict()


def _tag(
    config: TrainEncoderConfig, model: Path, sentences: Sequence[Sentence], gpus: float
) -> list[list[str]]:
    workers = config.workers
    size = -(-len(sentences) // workers.count)
    remote = ray.remote(num_cpus=workers.cpus_per_worker, num_gpus=gpus)(_tag_share)
    shares = [sentences[i : i + size] for i in range(0, len(sentences), size)]
    threads = workers.threads or max(1, int(workers.cpus_per_worker))
    parts = ray.get([remote.remote(model, share, config.training.precision, threads) for share in shares])
    return [tags for part in parts for tags in part]


def _tag_share(model: Path, share: Sequence[Sentence], precision: Any, threads: int) -> list[list[str]]:
    tagger = load_tagger(model, precision=precision, threads=threads)
    return [list(tags.tags) for tags in tagger.tag(share)]
