"""A run -> its chapter: how good the model is, where it fails, how it learned, how to run it again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from raybio.reports import tables
from raybio.reports.beside_study import beside_study
from raybio.reports.blocks import Block, Chapter, Curve, Curves, Examples, Figure, Headline, Section, Verbatim
from raybio.reports.mistakes import Outcome, choose_examples, example, frequent_texts, judge_sentences
from raybio.reports.reliability import reliability_blocks
from raybio.reports.sources import Run
from raybio.reports.tested import tested_runs
from raybio.safe_text import without_secrets

_EXAMPLES = 4
_FREQUENT = 8
_EXPLAINED = {
    Outcome.MISSED: "No predicted entity was paired with the gold one.",
    Outcome.SPURIOUS: "Gold has no entity there, or another prediction was paired with it already.",
    Outcome.BOUNDARY: "The label is right; the words are too few, too many or shifted.",
    Outcome.LABEL: "The words are right; the label is not.",
    Outcome.BOTH: "The words overlap, and the label is another.",
}


def run_chapter(run: Run, alone: bool) -> Chapter:
    """Say all about one run; `alone`, with the study's figures for its corpus."""
    if not run.tags:
        sections: tuple[Section, ...] = (
            Section("Training", ("It fills in hidden words, and tags nothing yet.", *_learning(run))),
            Section("How to run it again", _recipe(run)),
        )
        return Chapter(run.name, tuple(_facts(run)), sections)
    sections = (
        Section("How good it is", tuple(_scores(run))),
        *(beside_study(tested_runs([run])) if alone else ()),
        Section("By length and by label", tuple(_groups(run))),
        Section("Where it fails", tuple(_failures(run))),
        Section("What its scores are worth", tuple(reliability_blocks(run))),
        Section("Training", tuple(_learning(run))),
        Section("How to run it again", _recipe(run)),
    )
    return Chapter(run.name, tuple(_facts(run)), tuple(section for section in sections if section.blocks))


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    yield "Model", str(run.config.get("model", "unknown"))
    corpus = run.corpus_name
    if run.corpus.get("protocol") == "study":
        corpus += ", read by the study's protocol"
    if run.corpus.get("max_documents"):
        corpus += f", only the first {run.corpus['max_documents']:,} documents of each split"
    if run.learned_from != "train":
        corpus += f", learned from {run.learned_from}"
    if run.splits.get("dev", "dev") != "dev":
        corpus += f", chosen on {run.splits['dev']}"
    if run.corpus.get("instance_words"):
        corpus += f", in windows of {run.corpus['instance_words']} words"
    yield "Corpus", corpus
    started = str(run.environment.get("started", "unknown"))
    yield "Started", started.replace("T", " ").replace("+00:00", " UTC")
    yield "Commit", str(run.environment.get("commit") or "unknown")
    if "seed" in run.config:
        yield "Seed", str(run.config["seed"])


def _scores(run: Run) -> Iterator[Block]:
    if run.split is None:
        yield "This run has no scores: its folder has no scores.json. It still runs, or it stopped early."
        return
    if run.split != "test":
        yield (
            f"This run was not scored on a test split. The figures are those of {run.split}, which may have "
            "chosen the epoch, and so flatter the model."
        )
    if run.corpus.get("max_documents"):
        yield (
            f"A smoke run: it read only the first {run.corpus['max_documents']:,} documents of each split. "
            "Its figures say that the job works, not how good the model can be."
        )
    yield _headline(run.scores[run.split], run.split)
    if "corpora" in run.scores[run.split]:
        yield tables.corpora_of(run.scores[run.split])
    yield tables.score_table(run.scores, run.split)


def _headline(scores: Mapping[str, Any], split: str) -> Headline:
    corrected, paper = scores["corrected"], scores["paper"]["overall"]["strict"]
    strict, intervals = corrected["overall"]["strict"], corrected["intervals"]
    drawn = "no interval was drawn"
    if intervals:
        drawn = (
            f"{intervals['confidence']:.0%} interval {tables.interval(intervals, 'f1')} "
            f"({intervals['units']:,} {intervals['unit']}s)"
        )
    return Headline(
        (
            Figure(f"Strict F1 on {split}, corrected scorer", tables.percent(strict["f1"]), drawn),
            Figure("Strict F1, paper scorer", tables.percent(paper["f1"]), "the study's way of counting"),
            Figure(
                "Precision", tables.percent(strict["precision"]), f"{strict['actual']:,} predicted entities"
            ),
            Figure("Recall", tables.percent(strict["recall"]), f"{strict['possible']:,} gold entities"),
            Figure("Scored", f"{scores['sentences']:,}", f"sentences, {scores['words']:,} words"),
        )
    )


def _groups(run: Run) -> Iterator[Block]:
    if run.split is None:
        return
    scores = run.scores[run.split]
    yield tables.length_table(scores)
    if scores["corrected"]["by_label"]:
        yield tables.label_table(scores)


def _failures(run: Run) -> Iterator[Block]:
    split = run.split or "test"
    sentences = run.predictions.get(split)
    if not sentences:
        yield f"There are no examples: predictions/{split}.tsv is not in the run folder, or it is empty."
        return
    judged = judge_sentences(sentences)
    yield f"From the predictions on {split}, paired as the corrected scorer pairs them."
    yield tables.outcome_table(judged)
    for outcome, explanation in _EXPLAINED.items():
        shown = choose_examples(judged, outcome, _EXAMPLES)
        if shown:
            items = tuple(example(sentences, judged, each) for each in shown)
            yield Examples(outcome.value.capitalize(), explanation, items)
    for outcome in (Outcome.MISSED, Outcome.SPURIOUS):
        if rows := frequent_texts(sentences, judged, outcome, _FREQUENT):
            yield tables.frequent_table(f"Most often {outcome.value}", rows)
    yield from _repairs(run, split)


def _repairs(run: Run, split: str) -> Iterator[Block]:
    scores = run.scores.get(split)
    if scores:
        repairs = scores["repairs"]
        yield (
            f"Places where the two scorers disagree: {scores['disagreements']:,}. Orphan I- tags read as the "
            f"start of an entity: {repairs['gold']:,} in gold, {repairs['predicted']:,} in the prediction."
        )
    if scores and scores.get("malformed"):
        yield (
            f"{scores['malformed']:,} times a line of the model's answers gave no word its tag, or words had "
            f"no line: predictions/{split}.malformed.jsonl."
        )


def _learning(run: Run) -> Iterator[Block]:
    if not run.metrics:
        yield "There is no learning curve: metrics.jsonl is not in the run folder, or it is empty."
        return
    kept = run.kept_epoch
    curves = (
        _curve(run, "train_loss", "Loss in training", 1.0, None),
        _curve(run, "held_out_loss", "Loss on what was held out", 1.0, None),
        _curve(run, "held_out_found", "Hidden subwords found, percent", 100.0, None),
        _curve(run, "dev_strict_f1", "Strict F1 on dev, percent", 100.0, kept),
    )
    drawn = tuple(curve for curve in curves if curve.values)
    text = f"; the model of epoch {kept} was kept" if kept else ""
    if drawn:
        yield Curves(f"By epoch{text}", drawn)
    seconds = [(row.get("train_seconds", 0.0), row.get("dev_seconds", 0.0)) for row in run.metrics]
    training, scoring = (sum(column) for column in zip(*seconds, strict=True))
    scored = "dev" if run.tags else "what was held out"
    epochs = "1 epoch" if len(run.metrics) == 1 else f"{len(run.metrics)} epochs"
    yield f"{epochs}: {training:,.1f} s of training and {scoring:,.1f} s of scoring on {scored}, as measured."


def _curve(run: Run, key: str, name: str, scale: float, kept: int | None) -> Curve:
    points = [(int(row["epoch"]), scale * float(row[key])) for row in run.metrics if row.get(key) is not None]
    finite = [(epoch, value) for epoch, value in points if math.isfinite(value)]
    return Curve(name, tuple(epoch for epoch, _ in finite), tuple(value for _, value in finite), kept)


def _recipe(run: Run) -> tuple[Block, ...]:
    environment = "\n".join(
        f"{name}: {value}"
        for key, found in run.environment.items()
        for name, value in (found.items() if isinstance(found, dict) else [(key, found)])
    )
    return (
        Verbatim("Environment", environment or "environment.json is not in the run folder."),
        Verbatim("Resolved configuration (config.yaml)", without_secrets(run.config_text)),
    )
