"""Scores a trained model on a split, its sentences shared among the run's workers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

from raybio.config import DecodingSection, TrainConfig, TrainDecoderConfig, TrainEncoderConfig, WorkersSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.run_folder import RunFolder
from raybio.sentence_stream import gold_tags, read_sentences
from raybio.taggers import load_tagger
from raybio.training.splits import scored_sentences


def uses_gpu(workers: WorkersSection) -> bool:
    """Say whether a job's workers get a GPU each: as configured, or where the cluster has any."""
    if workers.accelerator == "auto":
        return bool(ray.cluster_resources().get("GPU", 0))
    return workers.accelerator == "gpu"


def score_split(config: TrainConfig, run: RunFolder, split: str) -> dict[str, Any]:
    """Tag a split with the run's model; write the predictions and return both scorers' figures.

    Of dev, an LLM's run takes the sentences that its epochs were scored on. The model is read back
    from the run folder, so that the figures are those of what was saved.
    """
    everything = list(read_sentences(config.corpus, split))
    sentences = scored_sentences(config, split, everything)
    some = "" if len(sentences) == len(everything) else f": {len(sentences)} of {len(everything)} sentences"
    run.say(f"scoring {split}{some}")
    gpus = 1.0 if uses_gpu(config.workers) else 0.0
    predicted = _tag(config, run.model, sentences, gpus)
    gold = [gold_tags(sentence) for sentence in sentences]
    run.write_predictions(
        split, ((list(s.words), g, p) for s, g, p in zip(sentences, gold, predicted, strict=True))
    )
    documents = [sentence.document_id for sentence in sentences]
    return evaluate(gold, predicted, documents, config.bootstrap, config.seed).to_dict()


def _tag(config: TrainConfig, model: Path, sentences: Sequence[Sentence], gpus: float) -> list[list[str]]:
    workers = config.workers
    size = -(-len(sentences) // workers.count)
    remote = ray.remote(num_cpus=workers.cpus_per_worker, num_gpus=gpus)(_tag_share)
    shares = [sentences[i : i + size] for i in range(0, len(sentences), size)]
    options = _options(config)
    parts = ray.get([remote.remote(model, share, options) for share in shares])
    return [tags for part in parts for tags in part]


def _options(config: TrainConfig) -> dict[str, Any]:
    """Return how the run's model is loaded to be scored: as its config says it computes and decodes."""
    workers = config.workers
    options: dict[str, Any] = {"threads": workers.threads or max(1, int(workers.cpus_per_worker))}
    if isinstance(config, TrainEncoderConfig | TrainDecoderConfig):
        options["precision"] = config.training.precision
    if isinstance(config, TrainDecoderConfig) and config.head == "text":
        options["decoding"] = config.dev.model_dump(include=set(DecodingSection.model_fields))
    return options


def _tag_share(model: Path, share: Sequence[Sentence], options: dict[str, Any]) -> list[list[str]]:
    tagger = load_tagger(model, **options)
    return [list(tags.tags) for tags in tagger.tag(share)]
