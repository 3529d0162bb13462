"""Everything there is to say about one prediction of one corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from raybio.evaluation.by_length import GROUPS, TwoSided, paper_by_length, sound_by_length
from raybio.evaluation.disagreements import find_disagreements
from raybio.evaluation.parallel import TagLists, check_documents, read_parallel
from raybio.evaluation.semeval import Counts, Measures, corrected_pairs, judge, score_by_label, score_paper
from raybio.evaluation.significance import Intervals, bootstrap_interval
from raybio.iob2 import orphans


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Both scorers' figures for one prediction.

    `paper_lengths` and `corrected_lengths` are keyed "length_1", "length_2", "length_3plus", the
    latter grouped the sound way; so is `length_intervals`, which is empty without intervals.
    `repairs` counts the orphan `I-` tags ("gold", "predicted") that were read as the start of an
    entity. `disagreements` counts the places where the scorers differ.
    """

    paper: Measures[Counts]
    paper_lengths: Mapping[str, Measures[Counts]]
    corrected: Measures[Counts]
    corrected_lengths: Mapping[str, Measures[TwoSided]]
    by_label: Mapping[str, Measures[Counts]]
    intervals: Intervals | None
    length_intervals: Mapping[str, Intervals]
    sentences: int
    words: int
    repairs: Mapping[str, int]
    disagreements: int

    @property
    def strict_f1(self) -> float:
        """The corrected scorer's strict F1, as a fraction."""
        return self.corrected.strict.f1

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as `raybio evaluate --json` writes them; ratios are fractions.

        Shape: {"paper": {"overall": M, "length_1": M, ...}, "corrected": {the same, "by_label":
        {label: M}, "intervals": object or null, "length_intervals": {group: object}}, "sentences",
        "words", "repairs", "disagreements"}, where M is {"strict": {"precision", "recall", "f1", "correct",
        ...}, "exact", "partial", "type"}. The counts of corrected length groups are explained at
        `TwoSided.to_dict`.
        """
        return {
            "paper": {"overall": self.paper.to_dict(), **_to_dicts(self.paper_lengths)},
            "corrected": {
                "overall": self.corrected.to_dict(),
                **_to_dicts(self.corrected_lengths),
                "by_label": _to_dicts(self.by_label),
                "intervals": self.intervals.to_dict() if self.intervals else None,
                "length_intervals": {group: each.to_dict() for group, each in self.length_intervals.items()},
            },
            "sentences": self.sentences,
            "words": self.words,
            "repairs": dict(self.repairs),
            "disagreements": self.disagreements,
        }


def _to_dicts(measures: Mapping[str, Measures[Any]]) -> dict[str, Any]:
    return {name: each.to_dict() for name, each in measures.items()}


def evaluate(
    gold: TagLists,
    predicted: TagLists,
    documents: Sequence[str] | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Score predicted IOB2 tags against gold ones, sentence by sentence, with both scorers.

    Tags are taken as written: an orphan `I-X` starts an entity and is counted under `repairs`.
    With `bootstrap` draws above 0, 95 % intervals are found over `documents`, each sentence's
    document id, or over sentences where documents are unknown.

    Raises:
        InputError: gold, predicted and documents are not parallel; names the sentence's index.
        TagError: a tag outside IOB2.
        UsageError: `bootstrap` is below 0.
    """
    gold_spans, predicted_spans = read_parallel(gold, predicted)
    if documents is not None:
        check_documents(documents, len(gold))
    pairing = corrected_pairs(gold_spans, predicted_spans)
    draw = partial(bootstrap_interval, gold, predicted, documents, bootstrap, seed)
    return Evaluation(
        paper=score_paper(gold_spans, predicted_spans),
        paper_lengths=paper_by_length(gold_spans, predicted_spans),
        corrected=judge(pairing),
        corrected_lengths=sound_by_length(pairing),
        by_label=score_by_label(gold_spans, predicted_spans),
        intervals=draw() if bootstrap else None,
        length_intervals={group: draw(group=group) for group in GROUPS} if bootstrap else {},
        sentences=len(gold),
        words=sum(map(len, gold)),
        repairs={"gold": _count_orphans(gold), "predicted": _count_orphans(predicted)},
        disagreements=sum(1 for _ in find_disagreements(gold_spans, predicted_spans)),
    )


def _count_orphans(sentences: TagLists) -> int:
    return sum(len(orphans(tags)) for tags in sentences)
