"""What a study's finished runs found: F1 over seeds, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean, stdev

from raybio.config import StudyConfig
from raybio.config.study_cells import Cell, cells
from raybio.evaluation.significance import Difference, mean_difference
from raybio.reports.sources import Run as RunFolderContents
from raybio.reports.sources import TaggedSentence, read_run
from raybio.study.runs import Run, by_seed, f1, known_runs

_DRAWS = 1000


@dataclass(frozen=True)
class Finding:
    """One model on one corpus: what is in the run folders of its chosen point, one for each seed."""

    model: str
    corpus: str
    runs: tuple[RunFolderContents, ...]

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

    def predictions(self, split: str) -> list[Sequence[TaggedSentence]]:
        """Return the predictions of each seed on a split."""
        return [run.predictions[split] for run in self.runs if split in run.predictions]


@dataclass(frozen=True)
class Compared:
    """Two models on one split of one corpus, over all their seeds."""

    corpus: str
    first: str
    second: str
    difference: Difference


def findings(study: StudyConfig) -> list[Finding]:
    """Return what was found, models and cascades, in the order of the study; without what is not done."""
    found = [_finding(cell, by_seed(study, cell)) for cell in cells(study)]
    cascades = [run for run in known_runs(study) if run.kind == "cascade" and run.done]
    for name, corpus in dict.fromkeys((run.model, run.corpus) for run in cascades):
        of_one = [run for run in cascades if (run.model, run.corpus) == (name, corpus)]
        found.append(Finding(name, corpus, tuple(read_run(run.path) for run in of_one)))
    return [each for each in found if each.runs]


def _finding(cell: Cell, runs: Sequence[Run]) -> Finding:
    return Finding(cell.model.name, cell.corpus, tuple(read_run(run.path) for run in runs if run.done))


def on_test(found: Sequence[Finding]) -> Iterator[Compared]:
    """Yield the difference of each two models that were tested on the same sentences of a corpus."""
    for corpus in dict.fromkeys(each.corpus for each in found):
        tested = [each for each in found if each.corpus == corpus and each.f1s("test")]
        for first, second in combinations(tested, 2):
            yield from compare(first, second, "test")


def on_dev(study: StudyConfig, found: Sequence[Finding]) -> Iterator[Compared]:
    """Yield the difference on dev of each variant to the first model that has the same train config.

    Dev chose the epochs, and so flatters all alike.
    """
    files = {model.name: model.config for model in study.models}
    for each in found:
        file = files.get(each.model)
        base = next((model.name for model in study.models if model.config == file), each.model)
        of_base = [other for other in found if (other.model, other.corpus) == (base, each.corpus)]
        if base != each.model and of_base:
            yield from compare(each, of_base[0], "dev")


def compare(first: Finding, second: Finding, split: str) -> Iterator[Compared]:
    """Yield how two differ on a split, or nothing where they were not scored on the same sentences."""
    ours, theirs = first.predictions(split), second.predictions(split)
    if not ours or not theirs or not ours[0]:
        return
    gold = [(sentence.words, sentence.gold) for sentence in ours[0]]
    if any([(s.words, s.gold) for s in each] != gold for each in (*ours, *theirs)):
        return
    tags = [[sentence.predicted for sentence in each] for each in (*ours, *theirs)]
    difference = mean_difference(
        [tags_of for _, tags_of in gold], tags[: len(ours)], tags[len(ours) :], samples=_DRAWS
    )
    yield Compared(first.corpus, first.model, second.model, difference)
