"""Equal work: speed only counts where the served answers are those of the tagger without a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import ray

from raybio.config import ServedModelSection
from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.evaluation.parallel import TagLists
from raybio.iob2 import OUTSIDE
from raybio.model_sources import ModelReference
from raybio.sentence_stream import gold_tags
from raybio.serving.deployment import found_from_anywhere
from raybio.serving.load_generator import Outcome, together
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

    With `batch_size` it works and is timed as in the study: so many sentences at a time in the
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
    gold = [gold_tags(sentence) for sentence in sentences]
    started = time.perf_counter()
    batches = together(sentences, batch_size or len(sentences))
    tags = tuple(tags.tags for batch in batches for tags in tagger.tag(batch))
    evaluate(gold, tags)
    seconds = time.perf_counter() - started
    return Bare(kind, tags, seconds, accelerator() if section.gpus else None)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How good the answers to the whole split are, and whether the tagger alone gives the same.

    `equal` says that every answer, in whatever scenario, was the tagger's own; `different_sentences`
    counts those with one that was not. `unanswered_sentences` of the scored pass count as all "O".
    `corrected` and `paper` are the two scorers' figures, as `Evaluation.to_dict` has them.
    """

    served_strict_f1: float
    offline_strict_f1: float
    equal: bool
    different_sentences: int
    unanswered_sentences: int
    corrected: Mapping[str, Any]
    paper: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def served_tags(sentences: Sequence[Sentence], outcomes: Iterable[Outcome]) -> list[Sequence[str] | None]:
    """Return the tags that each sentence was answered with, in order; None where it was not."""
    answers = dict(_answers(outcomes))
    return [answers.get(id(sentence)) for sentence in sentences]


def judge_answers(
    sentences: Sequence[Sentence],
    alone: TagLists,
    scored: Sequence[Outcome],
    others: Iterable[Outcome],
    bootstrap: int = 0,
    seed: int = 0,
    own: Callable[[Sequence[str]], Sequence[str]] = list,
) -> Accuracy:
    """Score the answers of one pass over annotated sentences, and compare all answers with `alone`.

    `alone` holds the tagger's own tags, and `others` what was asked besides, of the same objects. `own`
    leaves of a sentence's tags those that are scored.
    """
    gold = [own(gold_tags(sentence)) for sentence in sentences]
    served = served_tags(sentences, scored)
    predicted = [
        own(tags) if tags else [OUTSIDE] * len(sentence)
        for tags, sentence in zip(served, sentences, strict=True)
    ]
    documents = [sentence.document_id for sentence in sentences]
    evaluation = evaluate(gold, predicted, documents, bootstrap, seed)
    figures = evaluation.to_dict()
    known = {id(sentence): tuple(tags) for sentence, tags in zip(sentences, alone, strict=True)}
    different = {
        sentence for sentence, tags in _answers([*scored, *others]) if tuple(tags) != known[sentence]
    }
    unanswered = served.count(None)
    return Accuracy(
        served_strict_f1=evaluation.strict_f1,
        offline_strict_f1=evaluate(gold, [own(tags) for tags in alone]).strict_f1,
        equal=not different and not unanswered,
        different_sentences=len(different),
        unanswered_sentences=unanswered,
        corrected=figures["corrected"],
        paper=figures["paper"],
    )


def _answers(outcomes: Iterable[Outcome]) -> Iterable[tuple[int, Sequence[str]]]:
    """Yield each sentence that was answered, by the identity of its object, with its tags."""
    for outcome in outcomes:
        if outcome.served is not None:
            for sentence, tags in zip(outcome.request, outcome.served.answer.tags, strict=True):
                yield id(sentence), tags.tags
