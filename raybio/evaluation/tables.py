"""Scores as plain text for a terminal: aligned columns, ratios in percent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from raybio.entities import Span
from raybio.evaluation.disagreements import Disagreement
from raybio.evaluation.significance import Difference

SCORERS = ("corrected", "paper")
FIGURES = ("gold", "predicted", "strict P", "R", "F1", "partial P", "R", "F1", "exact F1", "type F1")
UNEQUAL = "NOT EQUAL WORK"
"""What stands before a figure whose answers were not the tagger's own."""
NAMES = {"overall": "all", "length_1": "1 word", "length_2": "2 words", "length_3plus": "3+ words"}


def render_evaluation(scores: Mapping[str, Any]) -> str:
    """Return the whole of `Evaluation.to_dict()`, or of a split in scores.json, as text."""
    return "\n".join(_evaluation_lines(scores)) + "\n"


def strict_f1(scores: Mapping[str, Any], scorer: str) -> float:
    """Return the strict F1 of a split in scores.json, a fraction; of several corpora it is their mean."""
    parts = scores.get("corpora", {"": scores}).values()
    return fmean(each[scorer]["overall"]["strict"]["f1"] for each in parts)


def corpora_table(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a union's corpora, a row each: strict F1 in percent, of all and by label.

    A label that a corpus does not annotate has no figure there. The last rows are of all sentences together,
    and the mean.
    """
    corpora: Mapping[str, Mapping[str, Any]] = scores["corpora"]
    labels = sorted({label for each in corpora.values() for label in each["corrected"]["by_label"]})
    rows = [
        [
            title,
            f"{each['sentences']:,}",
            _percent(each["corrected"]["overall"]),
            _interval_of(each["corrected"]["intervals"]),
            *(_percent(each["corrected"]["by_label"].get(label)) for label in labels),
        ]
        for title, each in (*corpora.items(), ("all together", scores))
    ]
    mean = ["mean of corpora", "", f"{100 * scores['mean_strict_f1']:.2f}", "", *("" for _ in labels)]
    return ["corpus", "sentences", "strict F1", "95 % interval", *labels], [*rows, mean]


def _percent(measures: Mapping[str, Any] | None) -> str:
    return "-" if measures is None else f"{100 * measures['strict']['f1']:.2f}"


def _interval_of(intervals: Mapping[str, Any] | None) -> str:
    f1 = intervals["f1"] if intervals else None
    return f"{100 * f1['low']:.2f} to {100 * f1['high']:.2f}" if f1 else ""


def render_difference(difference: Difference, a: str, b: str) -> str:
    """Return one line on how taggers `a` and `b` compare."""
    interval = f"{100 * difference.interval.low:+.2f} to {100 * difference.interval.high:+.2f}"
    p = p_value(difference.p_value)
    return (
        f"{a} - {b}: {100 * difference.f1:+.2f} strict F1 (corrected), "
        f"{difference.confidence:.0%} interval {interval}, p {p if p.startswith('<') else f'= {p}'} "
        f"({difference.samples} draws of {difference.units:,} {difference.unit}s)\n"
    )


def p_value(value: float) -> str:
    """Return a p-value as tables show it: one below what is ever quoted is bounded."""
    return "< 0.001" if value < 0.001 else f"{value:.3g}"


def render_disagreements(disagreements: Iterable[Disagreement]) -> str:
    """Return one paragraph for each place: sentence index, entities as word ranges, reasons."""
    return "".join(
        f"sentence {place.sentence}: gold {_spans(place.gold)}; predicted {_spans(place.predicted)}\n"
        + "".join(f"    {reason}\n" for reason in place.reasons)
        for place in disagreements
    )


def describe_difference(accuracy: Mapping[str, Any]) -> str:
    """Return how served answers differ from the tagger's own: both F1, and how many sentences.

    `accuracy` is that of a result in benchmark.json.
    """
    return (
        f"strict F1 {100 * accuracy['served_strict_f1']:.2f} served, "
        f"{100 * accuracy['offline_strict_f1']:.2f} alone; "
        f"{accuracy['different_sentences']:,} sentences differ, "
        f"{accuracy['unanswered_sentences']:,} have no answer"
    )


def align(header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> list[str]:
    """Return lines of columns two blanks apart; the first `words` columns to the left, figures right."""
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _evaluation_lines(scores: Mapping[str, Any]) -> Iterator[str]:
    corrected = scores["corrected"]
    yield f"{scores['sentences']:,} sentences, {scores['words']:,} words; scores in percent"
    yield ""
    yield from align(
        ("scorer", "entities", *FIGURES),
        (
            (scorer, NAMES[group], *_figures(scores[scorer][group]))
            for group in NAMES
            for scorer in reversed(SCORERS)
        ),
        words=2,
    )
    yield "By length, paper: gold entities cut out alone, all words predicted outside gold under 1 word."
    yield "By length, corrected: precision by predicted length, recall by gold length."
    if corrected["by_label"]:
        yield ""
        yield from align(
            ("scorer", "label", *FIGURES),
            (("corrected", label, *_figures(each)) for label, each in corrected["by_label"].items()),
            words=2,
        )
    if corrected["intervals"]:
        yield ""
        yield _intervals("all", corrected["intervals"])
        for group, intervals in corrected.get("length_intervals", {}).items():
            yield _intervals(NAMES[group], intervals)
    yield ""
    yield (
        f"Orphan I- tags read as the start of an entity: {scores['repairs']['gold']:,} in gold, "
        f"{scores['repairs']['predicted']:,} in the prediction"
    )
    yield f"Places where the two scorers disagree: {scores['disagreements']:,}"
    if found := scores.get("reliability"):
        before = found["uncalibrated"]
        once = f" ({100 * before['ece']:.1f} before calibration)" if before else ""
        yield f"Expected calibration error of entities' scores: {100 * found['ece']:.1f} points{once}"
    if "corpora" in scores:
        yield ""
        yield "Each corpus on the labels that it annotates, corrected scorer:"
        yield from align(*corpora_table(scores))


def _figures(measures: Mapping[str, Mapping[str, float]]) -> list[str]:
    strict, partial = measures["strict"], measures["partial"]
    ratios = [
        *(strict[name] for name in ("precision", "recall", "f1")),
        *(partial[name] for name in ("precision", "recall", "f1")),
        measures["exact"]["f1"],
        measures["type"]["f1"],
    ]
    counts = [f"{strict['possible']:,}", f"{strict['actual']:,}"]
    return counts + [f"{100 * ratio:.2f}" for ratio in ratios]


def _intervals(entities: str, intervals: Mapping[str, Any]) -> str:
    parts = ", ".join(
        f"{short} {100 * intervals[name]['low']:.2f} to {100 * intervals[name]['high']:.2f}"
        for short, name in (("P", "precision"), ("R", "recall"), ("F1", "f1"))
    )
    return (
        f"corrected strict, {entities}, {intervals['confidence']:.0%} intervals: {parts} "
        f"({intervals['samples']} draws of {intervals['units']:,} {intervals['unit']}s)"
    )


def _spans(spans: Sequence[Span]) -> str:
    return ", ".join(f"{span.label}[{span.start}:{span.end}]" for span in spans)
