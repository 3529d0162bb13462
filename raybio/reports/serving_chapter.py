"""Benchmark-serve runs -> a chapter for each corpus: which model, how good, how fast, at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raybio.config.prices import InstancePrice
from raybio.cost import dollars
from raybio.evaluation.by_length import GROUPS
from raybio.evaluation.tables import NAMES, UNEQUAL, describe_difference
from raybio.reports import cost_section
from raybio.reports import serving_speed as speed
from raybio.reports.benchmark import Benchmark, corpora, scenario
from raybio.reports.beside_study import beside_study
from raybio.reports.blocks import Block, Chapter, Figure, Headline, Section, Table, Verbatim
from raybio.reports.cost_section import Priced
from raybio.reports.differences import difference_sections, length_chart
from raybio.reports.served import Served, served_results, show_seconds
from raybio.reports.tables import ABSENT, interval, percent
from raybio.reports.tested import tested_results
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
            Section("By length of entity", (length_chart(tested), _length_table(served))),
            Section("One request at a time", tuple(_latency(served))),
            Section("Under load", _there(speed.load_chart(served), speed.load_table(served))),
            Section(
                "How much it can take", _there(speed.scaling_chart(served), speed.throughput_table(served))
            ),
            Section("What it costs", tuple(cost_section.cost_blocks(priced, prices))),
            Section(
                "Seconds per instance, beside the study", _there(speed.study_seconds_table(served, corpus))
            ),
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
        made = run.environment
        started = str(made.get("started", "time unknown")).replace("T", " ").replace("+00:00", " UTC")
        yield (
            f"Run {run.name}",
            f"{made.get('platform', 'machine unknown')}, {made.get('cpus', '?')} CPUs, "
            f"Ray {made.get('packages', {}).get('ray', 'unknown')}, {started}, "
            f"commit {made.get('commit') or 'unknown'}",
        )


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
    yield _glance_table(served, priced)
    yield _accuracy_table(served)


def _unlike(served: Sequence[Served]) -> Iterator[str]:
    """Warn where some tagged fewer sentences than others: parts of a test split may be easy or hard."""
    most = max(each.sentences for each in served)
    parts = [f"{each.name} tagged {each.sentences:,}" for each in served if each.sentences < most]
    if parts:
        yield (
            f"Not the same sentences: {', '.join(parts)} of the {most:,} that others did. Their figures do "
            "not compare with those of the others, and are not ranked with them."
        )


def _headline(served: Sequence[Served], priced: Sequence[Priced]) -> Iterator[Figure]:
    if not served:
        return
    best = max(served, key=lambda each: each.strict_f1)
    yield Figure("Most accurate", percent(best.strict_f1), f"strict F1 of {best.name}, corrected scorer")
    quick = [each for each in served if each.p50 is not None]
    if quick:
        fastest = min(quick, key=lambda each: each.p50 or 0.0)
        yield Figure("Fastest answer", show_seconds(fastest.p50), f"median of {fastest.name}, one at a time")
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
    yield from _there(speed.latency_chart(served), speed.latency_table(served))
    if shares := speed.seconds_apart(served):
        yield shares
        yield (
            "Model: the forward passes of the batch that a request was in. Replica: waiting for a batch, and "
            "all else in the replica. Client: the way there and back, routing and retries."
        )


def _there(*blocks: Block | None) -> tuple[Block, ...]:
    """Return those of the blocks that there was anything for."""
    return tuple(block for block in blocks if block is not None)


def _recipe(benchmarks: Sequence[Benchmark], corpus: str) -> tuple[Block, ...]:
    runs = [each.run for each in benchmarks if any(result["corpus"] == corpus for result in each.results)]
    return tuple(
        Verbatim(f"Resolved configuration of {run.name} (config.yaml)", without_secrets(run.config_text))
        for run in runs
    )


def _glance_table(served: Sequence[Served], priced: Sequence[Priced]) -> Table:
    """Return each model's answer to the reader's three questions: how good, how fast, at what cost."""
    costs = {id(each.served): each for each in priced}
    rows = []
    for each in served:
        cost = costs.get(id(each))
        single = scenario(each.result, "single-stream")
        p99 = single["latency"]["p99"]["value"] if single and single.get("latency") else None
        rows.append(
            (
                each.name,
                percent(each.strict_f1),
                show_seconds(each.p50),
                show_seconds(p99),
                f"{each.throughput:,.1f}" if each.throughput else ABSENT,
                dollars(cost.cost.per_million_abstracts) if cost else ABSENT,
                cost.instance.name if cost else ABSENT,
                _served_as(each),
            )
        )
    return Table(
        caption="How good, how fast, at what cost",
        header=("model", "F1", "p50", "p99", "sentences/s", "1M abstracts", "on", "served as"),
        rows=tuple(rows),
        notes=(
            "F1: strict, corrected scorer, of the served answers. p50 and p99: one request at a time. "
            "Dollars: on demand, extrapolated from the measured throughput to the machine on which it is "
            "cheapest.",
        ),
    )


def _served_as(each: Served) -> str:
    """Return the kind, precision and mode, and why nothing in the row may be set against other rows."""
    parts = [each.model.get("kind", "model"), each.model.get("precision", ""), each.model.get("mode") or None]
    marks = [UNEQUAL] if not each.equal else ["not all sentences"] if not each.ranked else []
    return ", ".join([" ".join(str(part) for part in parts if part is not None), *marks])


def _accuracy_table(served: Sequence[Served]) -> Table:
    """Return the F1 of the served answers beside that of the tagger alone."""
    rows = tuple(
        (
            each.name,
            percent(each.strict_f1),
            interval(each.accuracy["corrected"].get("intervals"), "f1"),
            percent(each.accuracy["offline_strict_f1"]),
            f"{each.sentences:,}",
            "yes" if each.equal else "NO",
            f"{each.accuracy['different_sentences']:,}",
            f"{each.accuracy['unanswered_sentences']:,}",
            percent(each.accuracy["paper"]["overall"]["strict"]["f1"]),
        )
        for each in served
    )
    return Table(
        caption="Strict F1 of the served answers in percent, and whether they are the tagger's own",
        header=(
            "model",
            "served",
            "interval",
            "tagger alone",
            "sentences",
            "equal",
            "that differ",
            "without answer",
            "paper scorer",
        ),
        rows=rows,
        strong=frozenset(n for n, each in enumerate(served) if not each.equal),
    )


def _length_table(served: Sequence[Served]) -> Table:
    """Return strict F1 by length of entity: the sound way, then the paper's."""
    rows = tuple(
        (
            each.name,
            way,
            *(percent(each.accuracy[scorer][group]["strict"]["f1"]) for group in ("overall", *GROUPS)),
        )
        for each in served
        for scorer, way in (("corrected", "sound"), ("paper", "paper's"))
    )
    return Table(
        caption="Strict F1 by length of entity, in percent",
        header=("model", "way", *(NAMES[group] for group in ("overall", *GROUPS))),
        rows=rows,
        notes=("The paper's way puts every false alarm on entities of 1 word.",),
        words=2,
    )
