"""Benchmark-serve runs -> a chapter for each corpus: which model, how good, how fast, at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from raybio.config.prices import InstancePrice
from raybio.cost import dollars
from raybio.evaluation.tables import describe_difference
from raybio.reports import cost_section, serving_plots, serving_tables
from raybio.reports.benchmark import Benchmark, corpora
from raybio.reports.beside_study import beside_study
from raybio.reports.blocks import Block, Chapter, Figure, Headline, Section, Verbatim
from raybio.reports.cost_section import Priced
from raybio.reports.differences import difference_sections, length_chart
from raybio.reports.served import Served, served_results, show_seconds
from raybio.reports.tables import percent
from raybio.reports.tested import Tested, tested_results
from raybio.safe_text import without_secrets


def serving_chapters(benchmarks: Sequence[Benchmark], prices: Sequence[InstancePrice]) -> Iterator[Chapter]:
    """Yield a chapter for each corpus, in which the results of all runs stand side by side."""
    for corpus in corpora(benchmarks):
        served, failures = served_results(benchmarks, corpus), tuple(_failures(benchmarks, corpus))
        if not served:
            yield Chapter(f"Serving: {corpus}", (), (Section("Not measured", failures),))
            continue
        tested = tested_results(benchmarks, corpus)
        priced = cost_section.priced(served, prices)
        sections = (
            Section("Which model", (*failures, *_at_a_glance(served, priced))),
            Section("By length of entity", tuple(_by_length(served, tested))),
            Section("One request at a time", tuple(_latency(served))),
            Section("Under load", tuple(_load(served))),
            Section("How much it can take", tuple(_throughput(served))),
            Section("What it costs", tuple(cost_section.cost_blocks(priced, prices))),
            Section("Seconds per instance, beside the study", tuple(_study_seconds(served, corpus))),
            *difference_sections(tested),
            *beside_study(tested),
            Section("How to run it again", _recipe(benchmarks, corpus)),
        )
        yield Chapter(
            f"Serving: {corpus}", tuple(_facts(served)), tuple(each for each in sections if each.blocks)
        )


def across_corpora(benchmarks: Sequence[Benchmark], prices: Sequence[InstancePrice]) -> tuple[Block, ...]:
    """Return what there is to say of all corpora together: nothing where there are not several."""
    priced = [
        each
        for corpus in corpora(benchmarks)
        for each in cost_section.priced(served_results(benchmarks, corpus), prices)
    ]
    several = len({each.served.corpus for each in priced}) > 1
    return tuple(cost_section.corpora_blocks(priced)) if several else ()


def _failures(benchmarks: Sequence[Benchmark], corpus: str) -> Iterator[str]:
    for each in benchmarks:
        for failed in each.failed:
            if failed["corpus"] == corpus:
                yield f"Not measured: {failed['model']} in run {each.name}: {failed['error']}"


def _facts(served: Sequence[Served]) -> Iterator[tuple[str, str]]:
    sizes = sorted({(each.sentences, int(each.result["words"])) for each in served}, reverse=True)
    text = "; or ".join(f"{sentences:,} sentences, {words:,} words" for sentences, words in sizes)
    yield "Corpus", f"{served[0].corpus} {served[0].result['split']}: {text}"
    for run in {each.benchmark.name: each.benchmark.run for each in served}.values():
        yield f"Run {run.name}", ", ".join(_origin(run.environment))


def _origin(environment: Mapping[str, Any]) -> Iterator[str]:
    yield f"{environment.get('platform', 'machine unknown')}, {environment.get('cpus', '?')} CPUs"
    yield f"Ray {environment.get('packages', {}).get('ray', 'unknown')}"
    yield str(environment.get("started", "time unknown")).replace("T", " ").replace("+00:00", " UTC")
    yield f"commit {environment.get('commit') or 'unknown'}"


def _at_a_glance(served: Sequence[Served], priced: Sequence[Priced]) -> Iterator[Block]:
    for each in served:
        if not each.equal:
            yield (
                f"Not equal work: the answers of {each.name} are not the tagger's own "
                f"({describe_difference(each.accuracy)}). Its speed does not count until that is explained."
            )
    yield from _unlike(served)
    figures = tuple(_headline([each for each in served if each.ranked], priced))
    if figures:
        yield Headline(figures)
    yield serving_tables.glance_table(served, priced)
    yield serving_tables.accuracy_table(served)


def _unlike(served: Sequence[Served]) -> Iterator[str]:
    """Warn where some tagged fewer sentences than others: parts of a test split may be easy or hard."""
    most = max(each.sentences for each in served)
    parts = [f"{each.name} tagged {each.sentences:,}" for each in served if each.sentences < most]
    if parts:
        yield (
            f"Not the same sentences: {', '.join(parts)} of the {most:,} that others did. Their figures do "
            "not compare with those of the others, and are not ranked with them."
        )


def _by_length(served: Sequence[Served], tested: Sequence[Tested]) -> Iterator[Block]:
    yield length_chart(tested)
    yield serving_tables.length_table(served)


def _headline(served: Sequence[Served], priced: Sequence[Priced]) -> Iterator[Figure]:
    if not served:
        return
    best = max(served, key=lambda each: each.strict_f1)
    yield Figure("Most accurate", percent(best.strict_f1), f"strict F1 of {best.name}, corrected scorer")
    quick = [each for each in served if each.p50 is not None]
    if quick:
        fastest = min(quick, key=lambda each: each.p50 or 0.0)
        yield Figure(
            "Fastest answer",
            show_seconds(fastest.p50),
            f"median of {fastest.name}, one at a time",
        )
    able = [each for each in served if each.throughput]
    if able:
        most = max(able, key=lambda each: each.throughput)
        yield Figure("Most throughput", f"{most.throughput:,.1f}", f"sentences/s of {most.name}, as measured")
    priced_and_ranked = [each for each in priced if each.served.ranked]
    if priced_and_ranked:
        cheapest = min(priced_and_ranked, key=lambda each: each.cost.per_million_abstracts)
        yield Figure(
            "Cheapest",
            dollars(cheapest.cost.per_million_abstracts),
            f"a million abstracts with {cheapest.served.name} on {cheapest.instance.name}, on demand, "
            "extrapolated",
        )


def _latency(served: Sequence[Served]) -> Iterator[Block]:
    yield from _there(serving_plots.latency_chart(served), serving_tables.latency_table(served))
    shares = serving_plots.seconds_apart(served)
    if shares:
        yield shares
        yield (
            "Model: the forward passes of the batch that a request was in. Replica: waiting for a batch, and "
            "all else in the replica. Client: the way there and back, routing and retries."
        )


def _load(served: Sequence[Served]) -> Iterator[Block]:
    return _there(serving_plots.load_chart(served), serving_tables.load_table(served))


def _throughput(served: Sequence[Served]) -> Iterator[Block]:
    return _there(serving_plots.scaling_chart(served), serving_tables.throughput_table(served))


def _study_seconds(served: Sequence[Served], corpus: str) -> Iterator[Block]:
    return _there(serving_tables.study_seconds_table(served, corpus))


def _there(*blocks: Block | None) -> Iterator[Block]:
    """Return those of the blocks that there was anything for."""
    return (block for block in blocks if block is not None)


def _recipe(benchmarks: Sequence[Benchmark], corpus: str) -> tuple[Block, ...]:
    runs = [each.run for each in benchmarks if any(result["corpus"] == corpus for result in each.results)]
    return tuple(
        Verbatim(f"Resolved configuration of {run.name} (config.yaml)", without_secrets(run.config_text))
        for run in runs
    )
