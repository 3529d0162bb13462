"""A model without a server around it: the answers and the speed that serving is held against."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import ray

from raybio.config import ServedModelSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.iob2 import tags_from_spans
from raybio.model_sources import ModelReference
from raybio.serving.deployment import found_from_anywhere
from raybio.serving.load_generator import together
from raybio.serving.replica import load
from raybio.taggers.devices import accelerator

_WHOLE_BATCH = 1 << 30
"""More tokens than any batch has: it is padded to its longest and never split."""


@dataclass(frozen=True, slots=True)
class Bare:
    """The tags of each sentence, the wall seconds of tagging and scoring them all, and on which GPU."""

    kind: str
    tags: tuple[tuple[str, ...], ...]
    seconds: float
    accelerator: str | None = None


def tag_alone(section: ServedModelSection, sentences: Sequence[Sentence], batch_size: int) -> Bare:
    """Tag annotated sentences with the model of `section` in one process with a replica's resources.

    With `batch_size` it goes and is timed as in the study: so many sentences at a time in the
    order of the file, padded to their longest, with no warm-up and with the scoring inside the clock.
    With 0 the tagger makes up batches as it likes.

    Raises:
        ModelError: there is no such model, or not at this precision.
    """
    # The process ends with the task, so that a replica finds its memory free.
    remote = ray.remote(num_cpus=section.cpus, num_gpus=section.gpus, max_calls=1)(_tag_alone)
    bare: Bare = ray.get(remote.remote(*found_from_anywhere(section), list(sentences), batch_size))
    return bare


def _tag_alone(
    section: ServedModelSection, model: ModelReference, sentences: Sequence[Sentence], batch_size: int
) -> Bare:
    kind, tagger = load(section, model, max_batch_tokens=_WHOLE_BATCH if batch_size else None)
    gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in sentences]
    started = time.perf_counter()
    batches = together(sentences, batch_size or len(sentences))
    tags = tuple(tags.tags for batch in batches for tags in tagger.tag(batch))
    evaluate(gold, tags)
    seconds = time.perf_counter() - started
    return Bare(kind, tags, seconds, accelerator() if section.gpus else None)
