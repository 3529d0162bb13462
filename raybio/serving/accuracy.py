"""Equal work: speed only counts where the served answers are those of the tagger itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from raybio.entities import Sentence
from raybio.evaluation import evaluate
from raybio.iob2 import OUTSIDE, tags_from_spans
from raybio.serving.load_generator import Outcome

TagLists = Sequence[Sequence[str]]


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
) -> Accuracy:
    """Score the answers of one pass over annotated sentences, and compare all answers with `alone`.

    `alone` holds the tagger's own tags, and `others` what was asked besides, of the same objects.
    """
    gold = [tags_from_spans(sentence.gold or (), len(sentence)) for sentence in sentences]
    served = served_tags(sentences, scored)
    predicted = [tags or [OUTSIDE] * len(sentence) for tags, sentence in zip(served, sentences, strict=True)]
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
        offline_strict_f1=evaluate(gold, alone).strict_f1,
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
