"""What a study's finished runs found: F1 over seeds, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean, stdev
from typing import Any

from raybio.config import StudyConfig
from raybio.config.study_cells import cells
from raybio.evaluation.significance import Difference, mean_difference
from raybio.reports.sources import Run, TaggedSentence, on_corpus, read_run
from raybio.study.runs import by_seed, f1
from raybio.study.stages import known_runs

_DRAWS = 1000


@dataclass(frozen=True)
class Finding:
    """One model on one corpus: what is in the run folders of its chosen point, one for each seed."""

    model: str
    corpus: str
    runs: tuple[Run, ...]

    def f1s(self, split: str) -> list[float]:
        """Return the corrected strict F1 of each seed that was scored on a split, as fractions."""
        found = [f1(dict(run.scores), split) for run in self.runs]
        return [each for each in found if each is not None]

    def mean(self, split: str) -> float | None:
        """Return the mean over seeds, or None where no seed was scored."""
        found = self.f1s(split)
        return mean(found) if found else None

    def spread(self, split: str) -> float | None:
        """Return the standard deviation over seeds (n - 1 below the line); None for fewer than two."""
        found = self.f1s(split)
        return stdev(found) if len(found) > 1 else None

    def intervals(self, split: str) -> Mapping[str, Any] | None:
        """Return the intervals that the first seed's scores hold, or None where none were drawn."""
        found = next((run.scores[split] for run in self.runs if split in run.scores), None)
        return found["corrected"]["intervals"] if found else None

    def sentences(self, split: str) -> int | None:
        """Return how many sentences of a split were scored, or None where it was not."""
        return next((run.scores[split]["sentences"] for run in self.runs if split in run.scores), None)

    @property
    def is_cut(self) -> bool:
        """Whether sentences were cut at their end to be scored; only an encoder's are."""
        config = self.runs[0].config
        cut = (config.get("training") or {}).get("long_inputs") == "cut"
        return config.get("job") == "train-encoder" and cut

    def predictions(self, split: str) -> list[Sequence[TaggedSentence]]:
        """Return the predictions of each seed on a split."""
        return [run.predictions[split] for run in self.runs if split in run.predictions]


@dataclass(frozen=True)
class Compared:
    """Two models on one split of one corpus, over all their seeds.

    `note` says why there is no difference, or what of the sentences was not read by all.
    """

    corpus: str
    first: str
    second: str
    difference: Difference | None
    note: str = ""


def findings(study: StudyConfig) -> list[Finding]:
    """Return what was found, models and cascades, in the order of the study; without what is not done."""
    found = []
    for cell in cells(study):
        runs = [read_run(run.path) for run in by_seed(study, cell) if run.done]
        for corpus in cell.corpora:
            own = [each if len(cell.corpora) == 1 else on_corpus(each, corpus) for each in runs]
            found.append(Finding(cell.model.name, corpus, tuple(own)))
    cascades = [run for run in known_runs(study) if run.kind == "cascade" and run.done]
    for name, corpus in dict.fromkeys((run.model, run.corpus) for run in cascades):
        of_one = [run for run in cascades if (run.model, run.corpus) == (name, corpus)]
        found.append(Finding(name, corpus, tuple(read_run(run.path) for run in of_one)))
    return [each for each in found if each.runs]


def on_test(found: Sequence[Finding]) -> Iterator[Compared]:
    """Yield each two models that were tested on a corpus."""
    for corpus in dict.fromkeys(each.corpus for each in found):
        tested = [each for each in found if each.corpus == corpus and each.f1s("test")]
        for first, second in combinations(tested, 2):
            yield compare(first, second, "test")


def on_dev(study: StudyConfig, found: Sequence[Finding]) -> Iterator[Compared]:
    """Yield each variant beside what it varies, on dev.

    That is the model it names, or else the first that has the same train config. Dev chose the epochs,
    and so flatters all alike.
    """
    first = {model.config: model.name for model in reversed(study.models)}
    bases = {model.name: model.variant_of or first[model.config] for model in study.models}
    by_name = {(each.model, each.corpus): each for each in found}
    for each in found:
        base = bases.get(each.model, each.model)
        if base == each.model:
            continue
        if of_base := by_name.get((base, each.corpus)):
            yield compare(each, of_base, "dev")
        else:
            yield Compared(each.corpus, each.model, base, None, f"{base} has no finished run there")


def compare(first: Finding, second: Finding, split: str) -> Compared:
    """Return how two differ on a split, where they were scored on the same sentences.

    A model that cuts its inputs is scored on the start of a sentence alone. Beside one that reads more of
    it, what it did not read counts as O, and gold is what the longer one was scored on.
    """
    ours, theirs = first.predictions(split), second.predictions(split)
    both, name = [*ours, *theirs], (first.corpus, first.model, second.model)
    if not (ours and theirs and ours[0]):
        return Compared(*name, None, f"a run folder has no predictions on {split}")
    if len({len(each) for each in both}) > 1:
        counts = f"{len(ours[0]):,} and {len(theirs[0]):,}"
        return Compared(*name, None, f"they were scored on {counts} sentences of {split}")
    whole = [max(versions, key=lambda sentence: len(sentence.words)) for versions in zip(*both, strict=True)]
    if not all(_begins(part, full) for each in both for part, full in zip(each, whole, strict=True)):
        return Compared(*name, None, f"they were scored on other words or gold tags of {split}")
    tags = [[_filled(part, full) for part, full in zip(each, whole, strict=True)] for each in both]
    gold = [sentence.gold for sentence in whole]
    difference = mean_difference(gold, tags[: len(ours)], tags[len(ours) :], samples=_DRAWS)
    return Compared(*name, difference, _unread(first, ours[0], whole) + _unread(second, theirs[0], whole))


def _begins(part: TaggedSentence, whole: TaggedSentence) -> bool:
    count = len(part.words)
    return (part.words, part.gold) == (whole.words[:count], whole.gold[:count])


def _filled(part: TaggedSentence, whole: TaggedSentence) -> tuple[str, ...]:
    return part.predicted + ("O",) * (len(whole.words) - len(part.words))


def _unread(finding: Finding, read: Sequence[TaggedSentence], whole: Sequence[TaggedSentence]) -> str:
    cut = sum(len(part.words) < len(full.words) for part, full in zip(read, whole, strict=True))
    return f"{finding.model} read the start of {cut:,} sentences, and has O for the rest. " if cut else ""
