"""Run folders and tagged outputs -> a Report: what is said, in which order, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from raybio.errors import UsageError
from raybio.reports.blocks import Report
from raybio.reports.comparison import comparison_chapter
from raybio.reports.run_chapter import run_chapter
from raybio.reports.sources import Run, read_run, read_tagging
from raybio.reports.tagging_chapter import tagging_chapter


def read_report(runs: Sequence[Path], tagged: Sequence[Path] = ()) -> Report:
    """Read run folders and tagged outputs and say what there is to say about them.

    Raises:
        UsageError: there is nothing to report on, or a path is not what it is given for.
        FormatError: a file in one of them cannot be read.
    """
    if not runs and not tagged:
        raise UsageError("nothing to report on. Name at least one run folder or tagged output")
    read = [read_run(path) for path in runs]
    taggings = [read_tagging(path) for path in tagged]
    chapters = [
        *([comparison_chapter(read)] if len(read) > 1 else []),
        *(run_chapter(run, alone=len(read) == 1) for run in read),
        *(tagging_chapter(tagging) for tagging in taggings),
    ]
    names = [run.name for run in read] + [tagging.path.name for tagging in taggings]
    labels = {label for run in read for label in _labels(run)} | {
        label for t in taggings for label in t.labels
    }
    return Report(_title(read, names), _lead(read), tuple(chapters), tuple(sorted(labels)))


def _title(runs: Sequence[Run], names: Sequence[str]) -> str:
    if len(runs) == 1:
        return f"{runs[0].model_name} on {runs[0].corpus_name}"
    if runs:
        return f"{len(runs)} runs compared"
    return "Tagged: " + ", ".join(names)


def _lead(runs: Sequence[Run]) -> str:
    if not runs:
        return "What was tagged, how fast, and what it looks like."
    return "How good the model is, on what, and where it fails."


def _labels(run: Run) -> Iterator[str]:
    for scores in run.scores.values():
        yield from scores["corrected"]["by_label"]
    for sentences in run.predictions.values():
        yield from {tag[2:] for s in sentences for tag in (*s.gold, *s.predicted) if tag[2:]}
