"""Several runs side by side, and runs beside the study's published figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raybio.reports import tables
from raybio.reports.blocks import Block, Chapter, Dot, DotPlot, Section
from raybio.reports.published import STRICT
from raybio.reports.sources import Run


def comparison_chapter(runs: Sequence[Run]) -> Chapter:
    """Put several runs side by side, and beside the study's figures where it has their corpus."""
    sections = (Section("The runs side by side", tuple(_side_by_side(runs))), *beside_study(runs))
    return Chapter("Comparison", (), sections)


def beside_study(runs: Sequence[Run]) -> Iterator[Section]:
    """Yield a section for each of the study's corpora that some of the runs were tested on."""
    for corpus in dict.fromkeys(run.corpus.get("name") for run in runs):
        of_corpus = [run for run in runs if run.corpus.get("name") == corpus and "test" in run.scores]
        if corpus in STRICT and of_corpus:
            yield Section(f"Beside the study: {corpus}", tuple(_beside(of_corpus, corpus)))


def _side_by_side(runs: Sequence[Run]) -> Iterator[Block]:
    yield tables.run_table(runs)
    dots = tuple(_corrected_dot(run) for run in runs if "test" in run.scores)
    if len(dots) > 1:
        yield DotPlot("Strict F1 on test, corrected scorer, percent, with interval", dots)
    corpora = {run.corpus_name for run in runs}
    if len(corpora) > 1:
        yield f"The runs are of several corpora ({', '.join(sorted(corpora))}): their scores do not compare."
    differences = tables.difference_table(runs)
    if differences:
        yield differences


def _corrected_dot(run: Run) -> Dot:
    corrected = run.scores["test"]["corrected"]
    f1 = (corrected["intervals"] or {}).get("f1")
    low, high = (100 * f1["low"], 100 * f1["high"]) if f1 else (None, None)
    return Dot(run.name, 100 * corrected["overall"]["strict"]["f1"], low, high)


def _beside(runs: Sequence[Run], corpus: str) -> Iterator[Block]:
    if any(run.corpus.get("limit") for run in runs):
        yield (
            "Not like for like: the study scored the whole test split; runs that read only the "
            "first documents of each split are marked with their number."
        )
    if corpus == "ChemProt" and any(run.corpus.get("protocol") != "study" for run in runs):
        yield (
            "The gold is not the same: the study's code misread ChemProt's offsets, in training and in "
            "scoring. Only runs with corpus.protocol=study read them as it did."
        )
    ours = [Dot(_marked(run), 100 * run.scores["test"]["paper"]["overall"]["strict"]["f1"]) for run in runs]
    theirs = [Dot(each.model, each.overall.f1, ours=False) for each in STRICT[corpus]]
    dots = sorted([*ours, *theirs], key=lambda dot: -dot.value)
    yield DotPlot(f"Strict F1 on {corpus} test, paper scorer, percent", tuple(dots))
    yield tables.published_table(runs, corpus)


def _marked(run: Run) -> str:
    limit = run.corpus.get("limit")
    return f"{run.name} (first {limit:,} documents)" if limit else run.name
