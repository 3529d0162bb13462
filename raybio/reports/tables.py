"""Scores -> tables. Scores are as `Evaluation.to_dict` gives them; the tables say percent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from raybio.evaluation.by_length import GROUPS
from raybio.evaluation.semeval import MEASURES
from raybio.evaluation.tables import NAMES, SCORERS, corpora_table
from raybio.reports.blocks import Table
from raybio.reports.mistakes import Judged, Outcome
from raybio.reports.sources import Run

Scores = Mapping[str, Any]

ABSENT = "–"
_RATIOS = ("P", "R", "F1")


def percent(ratio: float) -> str:
    """Return a fraction as percent, two decimals, no sign."""
    return f"{100 * ratio:.2f}"


def interval(intervals: Mapping[str, Any] | None, name: str) -> str:
    """Return "93.01 to 94.20" for the ratio called `name`, or a dash where no interval was drawn."""
    if not intervals:
        return ABSENT
    return f"{percent(intervals[name]['low'])} to {percent(intervals[name]['high'])}"


def score_table(scores: Mapping[str, Scores], split: str) -> Table:
    """Return all measures of `split` by both scorers, and the strict ones of other splits."""
    rows = [
        (split, scorer, measure, *_counts(scores[split][scorer]["overall"][measure]), *ratios(each))
        for scorer in SCORERS
        for measure in MEASURES
        for each in [scores[split][scorer]["overall"][measure]]
    ]
    rows += [
        (other, scorer, "strict", *_counts(each), *ratios(each))
        for other in scores
        if other != split
        for scorer in SCORERS
        for each in [scores[other][scorer]["overall"]["strict"]]
    ]
    return Table(
        caption=f"Precision, recall and F1 in percent; first all measures on {split}",
        header=("split", "scorer", "measure", "gold", "predicted", *_RATIOS),
        rows=tuple(rows),
        notes=(
            "strict: same words and same label. exact: same words, whatever the label. partial: as exact, "
            "and overlapping words count half. type: same label, however far the words overlap.",
            "The corrected scorer equals nervaluate 1.2.1 and later. The paper scorer is the study's own: it "
            "leaves each entity's last word out of the overlap and may count one gold entity several times. "
            "Compare with the study's published figures by the paper scorer only.",
        ),
        words=3,
        bars=frozenset({7}),
        strong=frozenset({0}),
    )


def corpora_of(scores: Scores) -> Table:
    """Return strict F1 on each corpus of a union, on the labels that it annotates."""
    header, rows = corpora_table(scores)
    return Table(
        caption="Each corpus on the labels that it annotates: strict F1, corrected scorer, in percent",
        header=tuple(header),
        rows=tuple(tuple(ABSENT if cell == "-" else cell for cell in row) for row in rows),
        notes=("What the model says of labels that a corpus does not annotate is not counted.",),
        bars=frozenset({2}),
    )


def length_table(scores: Scores) -> Table:
    """Return strict scores by length of entity, the sound way and the paper's."""
    ways = {"corrected": "sound", "paper": "paper's"}
    rows = [
        (NAMES[group], way, *_counts(each), *ratios(each), interval(drawn.get(group), "f1"))
        for group in GROUPS
        for scorer, way in ways.items()
        for each in [scores[scorer][group]["strict"]]
        for drawn in [scores[scorer].get("length_intervals", {})]
    ]
    return Table(
        caption="Strict scores by length of entity, in percent",
        header=("length", "way", "gold", "predicted", *_RATIOS, "95 % interval"),
        rows=tuple(rows),
        notes=(
            "Sound: recall over gold entities of that length, precision over predicted ones.",
            "Paper's: each gold entity is cut out alone, and every word predicted outside gold counts as a "
            "false one of 1 word. So false alarms lower the precision of 1 word only, and a prediction that "
            "reaches past its gold entity is cut into correctness.",
        ),
        words=2,
        bars=frozenset({6}),
        strong=frozenset(range(0, 2 * len(GROUPS), 2)),
    )


def label_table(scores: Scores) -> Table:
    """Return the corrected scorer's figures by label."""
    rows = [
        (
            label,
            *_counts(each["strict"]),
            *ratios(each["strict"]),
            *(percent(each[measure]["f1"]) for measure in MEASURES[1:]),
        )
        for label, each in scores["corrected"]["by_label"].items()
    ]
    return Table(
        caption="By label, corrected scorer, in percent: strict P, R, F1, and F1 of the other measures",
        header=("label", "gold", "predicted", *_RATIOS, *(f"{measure} F1" for measure in MEASURES[1:])),
        rows=tuple(rows),
        notes=("Each label is scored alone, as if no other existed.",),
        bars=frozenset({5}),
    )


def outcome_table(judged: Sequence[Judged]) -> Table:
    """Return how many entities ended in each outcome, with their share of gold (spurious: of predicted)."""
    counts = Counter(each.outcome for each in judged)
    gold = sum(1 for each in judged if each.gold)
    predicted = sum(1 for each in judged if each.predicted)
    rows = []
    for outcome in Outcome:
        whole, name = (predicted, "predicted") if outcome is Outcome.SPURIOUS else (gold, "gold")
        share = percent(counts[outcome] / whole) if whole else ABSENT
        rows.append((outcome.value, f"of {name}", f"{counts[outcome]:,}", share))
    return Table(
        caption=f"Outcome of {gold:,} gold and {predicted:,} predicted entities",
        header=("outcome", "share", "entities", "percent"),
        rows=tuple(rows),
        words=2,
        bars=frozenset({3}),
    )


def frequent_table(caption: str, rows: Iterable[tuple[str, str, int]]) -> Table:
    """Return (text, label, number) as a table."""
    cells = tuple((text, label, f"{times:,}") for text, label, times in rows)
    return Table(caption, ("words", "label", "times"), cells, words=2, quotes=True)


def run_table(runs: Sequence[Run]) -> Table:
    """Return the runs' strict scores side by side.

    The corpus stands there where there are several, what was learned from where that is not train.
    """
    learned = any(run.learned_from != "train" for run in runs)
    several = len({run.corpus_name for run in runs}) > 1
    words = ("run", *(["corpus"] if several else []), "split", *(["learned from"] if learned else []))
    return Table(
        caption="The runs side by side: strict scores in percent",
        header=(*words, *(f"{ratio} corrected" for ratio in _RATIOS), "F1 interval", "F1 paper"),
        rows=tuple(
            (
                run.name,
                *([run.corpus_name] if several else []),
                run.split or "not scored",
                *([run.learned_from] if learned else []),
                *_run_figures(run),
            )
            for run in runs
        ),
        notes=("Overlapping intervals do not show that two runs are equal, nor that they differ.",),
        words=len(words),
        bars=frozenset({len(words) + 2}),
    )


def _run_figures(run: Run) -> tuple[str, ...]:
    if run.split is None:
        return (ABSENT,) * 5
    scores = run.scores[run.split]
    corrected = scores["corrected"]
    return (
        *ratios(corrected["overall"]["strict"]),
        interval(corrected["intervals"], "f1"),
        percent(scores["paper"]["overall"]["strict"]["f1"]),
    )


def difference_table(runs: Sequence[Run]) -> Table | None:
    """Return the options in which the runs differ, or None where they do not.

    An option that only some kinds of job have is compared among the runs of these.
    """
    options = [dict(_flat(run.config)) for run in runs]
    names = dict.fromkeys(name for each in options for name in each)
    jobs = {name: {each.get("job") for each in options if name in each} for name in names}
    rows = [
        (name, *(each.get(name, ABSENT) for each in options))
        for name in names
        if len({each.get(name) for each in options if each.get("job") in jobs[name]}) > 1
    ]
    if not rows:
        return None
    header = ("option", *(run.name for run in runs))
    return Table("Options in which the runs differ", header, tuple(rows), words=len(header))


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + str(name), "null" if value is None else str(value)


def tagging_table(summary: Mapping[str, Any]) -> Table:
    """Return what is in a tagged output, as counted by its ledger."""
    counts = {"input files": summary["files"], **summary["counts"]}
    rows = tuple((name.replace("_", " "), f"{count:,}") for name, count in counts.items())
    return Table("What is in the output", ("counted", "number"), rows)


def mention_table(summary: Mapping[str, Any]) -> Table:
    """Return a tagged output's mentions by label."""
    by_label = summary["mentions_by_label"]
    total = sum(by_label.values())
    rows = tuple((label, f"{n:,}", percent(n / total) if total else ABSENT) for label, n in by_label.items())
    return Table("Mentions by label", ("label", "mentions", "percent"), rows, bars=frozenset({2}))


def _counts(each: Mapping[str, Any]) -> tuple[str, str]:
    return f"{each['possible']:,}", f"{each['actual']:,}"


def ratios(each: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return precision, recall and F1 of a measure in percent."""
    return percent(each["precision"]), percent(each["recall"]), percent(each["f1"])
