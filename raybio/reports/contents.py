"""Run folders and tagged outputs -> a Report: what is said, in which order, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raybio.config.prices import load_prices, shipped_prices
from raybio.errors import UsageError
from raybio.reports.benchmark import Benchmark, is_benchmark, read_benchmark
from raybio.reports.blocks import Report
from raybio.reports.comparison import comparison_chapter
from raybio.reports.run_chapter import run_chapter
from raybio.reports.serving_chapter import serving_chapters
from raybio.reports.side_by_side import side_by_side_chapter
from raybio.reports.sources import Run, Tagging, read_run, read_tagging
from raybio.reports.tagging_chapter import tagging_chapter


def read_report(runs: Sequence[Path], tagged: Sequence[Path] = ()) -> Report:
    """Read run folders and tagged outputs and say what there is to say about them.

    A run folder may be of training or of benchmark-serve; those of one kind are set side by side.

    Raises:
        UsageError: there is nothing to report on, or a path is not what it is given for.
        FormatError: a file in one of them cannot be read.
        ConfigError: the price list that comes with raybio has faults.
    """
    if not runs and not tagged:
        raise UsageError("nothing to report on. Name at least one run folder or tagged output")
    trained = [read_run(path) for path in runs if not is_benchmark(path)]
    benchmarks = [read_benchmark(path) for path in runs if is_benchmark(path)]
    taggings = [read_tagging(path) for path in tagged]
    # A report without dollars is better than none.
    prices = load_prices() if benchmarks and shipped_prices().is_file() else ()
    chapters = [
        *serving_chapters(benchmarks, prices),
        *([comparison_chapter(trained)] if len(trained) > 1 else []),
        *(run_chapter(run, alone=len(trained) == 1) for run in trained),
        *([side_by_side_chapter(taggings)] if len(taggings) > 1 else []),
        *(tagging_chapter(tagging) for tagging in taggings),
    ]
    return Report(_title(trained, benchmarks, taggings), _lead(trained, benchmarks), tuple(chapters))


def _title(runs: Sequence[Run], benchmarks: Sequence[Benchmark], taggings: Sequence[Tagging]) -> str:
    if runs and benchmarks:
        return f"{len(runs) + len(benchmarks)} runs, trained and served"
    if benchmarks:
        models = dict.fromkeys(one["model"] for each in benchmarks for one in (*each.results, *each.failed))
        return f"Served: {', '.join(models)}"
    if len(runs) == 1:
        return f"{runs[0].model_name} on {runs[0].corpus_name}"
    if runs:
        return f"{len(runs)} runs compared"
    return "Tagged: " + ", ".join(tagging.path.name for tagging in taggings)


def _lead(runs: Sequence[Run], benchmarks: Sequence[Benchmark]) -> str:
    if benchmarks:
        return "Which model, how fast, at what cost: what was measured, and what follows from it."
    if not runs:
        return "What was tagged, how fast, and what it looks like."
    if not any(run.tags for run in runs):
        return "How well the model fills in words, before it is fine-tuned to tag."
    if len(runs) > 1:
        return "How good the models are, on what, and where they fail."
    return "How good the model is, on what, and where it fails."
