"""One report on a study: what it found, then each corpus beside the published tables, then what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from raybio.config import StudyConfig
from raybio.config.prices import load_prices
from raybio.errors import UsageError
from raybio.evaluation.tables import p_value
from raybio.reports.benchmark import read_benchmark
from raybio.reports.blocks import Block, Chapter, Dot, DotPlot, Report, Section, Table
from raybio.reports.comparison import comparison_chapter
from raybio.reports.html import write_page
from raybio.reports.run_chapter import run_chapter
from raybio.reports.serving_chapter import across_corpora, serving_chapters
from raybio.reports.tables import ABSENT, interval, percent
from raybio.study.findings import Compared, Finding, findings, on_dev, on_test
from raybio.study.folder import StudyFolder
from raybio.study.searched import search_table
from raybio.study.stages import known_runs
from raybio.study.status import study_status


def write_study_report(study: StudyConfig, output: Path | None = None, *, quotes: bool = True) -> Path:
    """Write the report as HTML, or as Markdown where `output` ends in .md; return its path.

    `quotes` are sentences and entities of the corpora.

    Raises:
        UsageError: no run of the study is done.
        FormatError: a file of a run folder cannot be read.
    """
    path = output or StudyFolder(study).path / "report.html"
    return write_page(study_report(study), path, quotes=quotes)


def study_report(study: StudyConfig) -> Report:
    """Return what there is to say about the study by now.

    Raises:
        UsageError: no run of it is done.
    """
    found = findings(study)
    if not found:
        raise UsageError(f"no run of the study {study.name} is done. Start it with `raybio study run`")
    benchmarks = [read_benchmark(run.path) for run in known_runs(study) if run.kind == "measure" and run.done]
    prices = load_prices(study.estimate.prices) if benchmarks else ()
    costs = across_corpora(benchmarks, prices)
    sections = (
        *_sections(study, found),
        *([Section("How good, how fast, at what cost", costs)] if costs else ()),
    )
    chapters = [
        Chapter(f"The study {study.name}", tuple(_facts(study, found)), tuple(sections)),
        *_corpora(found),
        *serving_chapters(benchmarks, prices),
    ]
    return Report(
        f"Study: {study.name}",
        "Which model, how good, how sure, at what cost: what the study's finished runs say.",
        tuple(chapters),
    )


def _facts(study: StudyConfig, found: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    yield "Protocol", study.protocol
    yield "Seeds", ", ".join(map(str, study.seeds))
    yield "Search", f"{study.search.method}, on dev, with seed {study.seeds[0]}"
    counts = study_status(study).counts
    for corpus in dict.fromkeys(each.corpus for each in found):
        splits = {run.learned_from for each in found if each.corpus == corpus for run in each.runs}
        yield f"Learned on {corpus}", "; ".join(sorted(splits))
    yield "Runs", ", ".join(f"{count} {state}" for state, count in counts.items())


def _sections(study: StudyConfig, found: Sequence[Finding]) -> Iterator[Section]:
    yield Section("How good the models are", tuple(_scores(found)))
    if searched := search_table(study):
        yield Section("What the searches found", (searched,))
    differences = list(on_test(found))
    if differences:
        yield Section("Which differences are more than chance", tuple(_differences(differences, "test")))
    variants = list(on_dev(study, found))
    if variants:
        yield Section("What variants are worth, on dev", tuple(_differences(variants, "dev")))
    lacking = [run for run in study_status(study).runs if run.state != "done"]
    if lacking:
        yield Section(
            "What is missing", (_missing_table([(r.name, r.state, r.error or "") for r in lacking]),)
        )


def _scores(found: Sequence[Finding]) -> Iterator[Block]:
    for split in ("test", "dev"):
        scored = [each for each in found if each.f1s(split)]
        if scored:
            yield _score_table(scored, split)
    for corpus in dict.fromkeys(each.corpus for each in found):
        dots = tuple(
            Dot(each.model, 100 * (each.mean("test") or 0.0), *_reach(each))
            for each in found
            if each.corpus == corpus and each.f1s("test")
        )
        if len(dots) > 1:
            yield DotPlot(f"Mean strict F1 on {corpus} test, percent; the lowest and highest seed", dots)


def _reach(each: Finding) -> tuple[float, float] | tuple[None, None]:
    scores = each.f1s("test")
    return (100 * min(scores), 100 * max(scores)) if len(scores) > 1 else (None, None)


def _score_table(found: Sequence[Finding], split: str) -> Table:
    corpora = list(dict.fromkeys(each.corpus for each in found))
    models = list(dict.fromkeys(each.model for each in found))
    uneven = {
        corpus for corpus in corpora if len({e.sentences(split) for e in found if e.corpus == corpus}) > 1
    }
    cell = {
        (each.model, each.corpus): _reported(each, split, counted=each.corpus in uneven) for each in found
    }
    return Table(
        caption=f"Strict F1 on {split}, corrected scorer, percent: mean over seeds, and standard deviation; "
        "of one seed its 95 % interval",
        header=("model", *corpora),
        rows=tuple((model, *(cell.get((model, corpus), ABSENT) for corpus in corpora)) for model in models),
        notes=tuple(_notes(found, split, bool(uneven))),
    )


def _notes(found: Sequence[Finding], split: str, uneven: bool) -> Iterator[str]:
    if split == "dev":
        yield "Dev chose rates, batches and epochs, and so flatters."
    else:
        yield "Each chosen run was scored on test once."
    if uneven:
        yield "Where sentences are counted, a column's models were not scored on the same ones."
    if any(each.is_cut for each in found):
        yield (
            "* reads, and is scored on, the start of long sentences: what lies beyond counts as neither "
            "found nor missed. Such a figure flatters; differences between models count the whole."
        )


def _reported(each: Finding, split: str, counted: bool) -> str:
    middle = percent(each.mean(split) or 0.0) + ("*" if each.is_cut else "")
    return " ".join(
        [middle, *_sureness(each, split), *([f"of {each.sentences(split):,}"] if counted else [])]
    )


def _sureness(each: Finding, split: str) -> Iterator[str]:
    """Yield how sure a mean is: by the spread of its seeds, or by the interval of the only one."""
    spread, intervals = each.spread(split), each.intervals(split)
    if spread is not None:
        yield f"± {percent(spread)} ({len(each.f1s(split))})"
    elif intervals:
        yield f"({interval(intervals, 'f1')})"


def _differences(compared: Sequence[Compared], split: str) -> Iterator[Block]:
    if any(each.difference for each in compared):
        yield _difference_table(compared, split)
    for each in compared:
        pair = f"{each.first} and {each.second} on {each.corpus}"
        if each.difference is None:
            yield f"Not compared: {pair}: {each.note}."
        elif each.note:
            yield f"{pair}: {each.note}"


def _difference_table(compared: Sequence[Compared], split: str) -> Table:
    return Table(
        caption=f"Differences in mean strict F1 on {split}, points: the first less the second",
        header=("corpus", "first", "second", "F1", "95 % interval", "p"),
        rows=tuple(
            (
                each.corpus,
                each.first,
                each.second,
                f"{100 * difference.f1:+.2f}",
                f"{100 * difference.interval.low:+.2f} to {100 * difference.interval.high:+.2f}",
                p_value(difference.p_value),
            )
            for each in compared
            if (difference := each.difference)
        ),
        notes=(
            "Paired bootstrap of the mean over seeds, the same draws of sentences for all. Where errors go "
            "together within a document intervals come out too narrow. One that holds 0 shows no difference; "
            "of many comparisons one in twenty shows one by chance.",
        ),
        words=3,
    )


def _missing_table(rows: Sequence[tuple[str, str, str]]) -> Table:
    return Table(
        caption="Runs that are not done",
        header=("run", "state", "why"),
        rows=tuple(
            (name, state, error.strip().splitlines()[-1] if error else "") for name, state, error in rows
        ),
        words=3,
    )


def _corpora(found: Sequence[Finding]) -> Iterator[Chapter]:
    """Yield a chapter for each corpus: the first seeds side by side, and beside the published figures."""
    for corpus in dict.fromkeys(each.corpus for each in found):
        runs = [each.runs[0] for each in found if each.corpus == corpus]
        if len(runs) > 1:
            yield replace(comparison_chapter(runs), heading=corpus)
        else:
            yield replace(run_chapter(runs[0], alone=True), heading=corpus)
