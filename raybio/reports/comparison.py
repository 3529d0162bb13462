"""Several runs side by side: their scores, the options in which they differ, and how their answers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raybio.reports import tables
from raybio.reports.beside_study import beside_study
from raybio.reports.blocks import Block, Chapter, Dot, DotPlot, Section
from raybio.reports.differences import difference_sections, length_chart
from raybio.reports.sources import Run
from raybio.reports.tested import tested_runs


def comparison_chapter(runs: Sequence[Run]) -> Chapter:
    """Put several runs side by side, and beside the study's figures where it has their corpus."""
    tested = tested_runs(runs)
    sections = (
        Section("The runs side by side", tuple(_side_by_side(runs))),
        *(
            Section(f"By length of entity: {corpus}", (length_chart(of_corpus),))
            for corpus in dict.fromkeys(each.corpus for each in tested)
            if len(of_corpus := [each for each in tested if each.corpus == corpus]) > 1
        ),
        *difference_sections(tested),
        *beside_study(tested),
    )
    return Chapter("Comparison", (), sections)


def _side_by_side(runs: Sequence[Run]) -> Iterator[Block]:
    yield tables.run_table(runs)
    for limit in dict.fromkeys(run.corpus.get("max_documents") for run in runs):
        if limit:
            names = ", ".join(run.name for run in runs if run.corpus.get("max_documents") == limit)
            yield f"Only the first {limit:,} documents of each split were read by {names}."
    corpora = sorted({run.corpus_name for run in runs if run.tags})
    for corpus in corpora:
        dots = tuple(_dot(run) for run in runs if run.corpus_name == corpus and "test" in run.scores)
        if len(dots) > 1:
            yield DotPlot(f"Strict F1 on {corpus} test, corrected scorer, percent, with interval", dots)
    if len(corpora) > 1:
        yield f"The runs are of several corpora ({', '.join(corpora)}): their scores do not compare."
    options = tables.difference_table(runs)
    if options:
        yield options


def _dot(run: Run) -> Dot:
    corrected = run.scores["test"]["corrected"]
    f1 = (corrected["intervals"] or {}).get("f1")
    reach = (100 * f1["low"], 100 * f1["high"]) if f1 else ()
    return Dot(run.name, 100 * corrected["overall"]["strict"]["f1"], *reach)
