"""What was tested beside the study's published figures: its Tables I, II, III and V for a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raybio.evaluation.by_length import GROUPS
from raybio.evaluation.tables import NAMES
from raybio.reports import tables
from raybio.reports.blocks import Block, Dot, DotPlot, Section, Table
from raybio.reports.published import ENTITY_LENGTHS, INSTANCES, RELAXED, SOURCE, STRICT, Ratios
from raybio.reports.tested import Tested

_RATIOS = ("P", "R", "F1")


def beside_study(tested: Sequence[Tested]) -> Iterator[Section]:
    """Yield a section for each of the study's corpora that something was tested on."""
    for corpus in dict.fromkeys(each.corpus for each in tested):
        of_corpus = [each for each in tested if each.corpus == corpus]
        if corpus in STRICT:
            yield Section(f"Beside the study: {corpus}", tuple(_beside(of_corpus, corpus)))


def _beside(tested: Sequence[Tested], corpus: str) -> Iterator[Block]:
    if any(each.limit for each in tested):
        yield (
            "Not like for like: the study scored the whole test split; runs that read only the "
            "first documents of each split are marked with their number."
        )
    others = {each.learned_from for each in tested} - {"", "train"}
    for learned_from in sorted(others):
        names = ", ".join(each.name for each in tested if each.learned_from == learned_from)
        yield f"Not trained alike: the study learned from the whole of train, {names} from {learned_from}."
    if any(each.split_sentences.get("test") != INSTANCES[corpus].test and not each.limit for each in tested):
        yield (
            "Not the same instances: the test split scored here has another number of sentences than the "
            "study's, as the table of instances below shows."
        )
    if corpus == "ChemProt" and not all(each.study_protocol for each in tested):
        yield (
            "The gold is not the same: the study's code misread ChemProt's offsets, in training and in "
            "scoring. Only runs with corpus.protocol=study read them as it did."
        )
    ours = [Dot(each.marked, 100 * each.scores["paper"]["overall"]["strict"]["f1"]) for each in tested]
    theirs = [Dot(each.model, each.overall.f1, ours=False) for each in STRICT[corpus]]
    dots = sorted([*ours, *theirs], key=lambda dot: -dot.value)
    yield DotPlot(f"Strict F1 on {corpus} test, paper scorer, percent", tuple(dots))
    yield _strict_table(tested, corpus)
    yield _relaxed_table(tested, corpus)
    yield _instances_table(tested, corpus)
    yield _lengths_table(tested, corpus)


def _strict_table(tested: Sequence[Tested], corpus: str) -> Table:
    ours = [
        (
            each.marked,
            "this report",
            *tables.ratios(paper["overall"]["strict"]),
            *(tables.percent(paper[group]["strict"]["f1"]) for group in GROUPS),
        )
        for each in tested
        for paper in [each.scores["paper"]]
    ]
    theirs = [
        (
            each.model,
            "published",
            *_reported(each.overall),
            *(f"{each.by_length[group].f1:.2f}" for group in GROUPS),
        )
        for each in STRICT[corpus]
    ]
    return Table(
        caption=f"{corpus}, test, strict, paper scorer, in percent",
        header=("model", "source", *_RATIOS, *(f"F1 {NAMES[group]}" for group in GROUPS)),
        rows=(*ours, *theirs),
        notes=(f"Published figures: Table III of {SOURCE}. Lengths are scored the paper's way.",),
        words=2,
        bars=frozenset({4}),
        strong=frozenset(range(len(ours))),
    )


def _relaxed_table(tested: Sequence[Tested], corpus: str) -> Table:
    ours = [
        (each.marked, "this report", *tables.ratios(each.scores["paper"]["overall"]["partial"]))
        for each in tested
    ]
    theirs = [(model, "published", *_reported(figures)) for model, figures in RELAXED[corpus].items()]
    return Table(
        caption=f"{corpus}, test, relaxed, paper scorer, in percent",
        header=("model", "source", *_RATIOS),
        rows=(*ours, *theirs),
        notes=(
            f"Published figures: Table V of {SOURCE}. Relaxed is the scorer's measure partial: words that "
            "overlap count half.",
        ),
        words=2,
        bars=frozenset({4}),
        strong=frozenset(range(len(ours))),
    )


def _instances_table(tested: Sequence[Tested], corpus: str) -> Table:
    published = INSTANCES[corpus]
    ours = [
        (
            each.marked,
            "this report",
            *(
                f"{each.split_sentences[split]:,}" if split in each.split_sentences else tables.ABSENT
                for split in ("train", "dev", "test")
            ),
        )
        for each in tested
    ]
    theirs = (SOURCE, "published", f"{published.train:,}", f"{published.dev:,}", f"{published.test:,}")
    return Table(
        caption=f"{corpus}: instances of each split",
        header=("counted by", "source", "train", "dev", "test"),
        rows=(*ours, theirs),
        notes=(
            "Published figures: Table I. Ours are the sentences scored; a dash: that split was not scored.",
        ),
        words=2,
        strong=frozenset(range(len(ours))),
    )


def _lengths_table(tested: Sequence[Tested], corpus: str) -> Table:
    published = ENTITY_LENGTHS[corpus]
    ours = [
        (
            each.marked,
            "this report",
            *(f"{each.scores['corrected'][group]['strict']['possible']:,}" for group in ("overall", *GROUPS)),
        )
        for each in tested
    ]
    theirs = (
        SOURCE,
        "published",
        f"{published.total:,}",
        *(f"{published.by_length[group]:,}" for group in GROUPS),
    )
    return Table(
        caption=f"{corpus}, test: gold entities by length",
        header=("counted by", "source", *(NAMES[group] for group in ("overall", *GROUPS))),
        rows=(*ours, theirs),
        notes=("Published figures: Table II. Where the totals differ, the two did not score the same gold.",),
        words=2,
        strong=frozenset(range(len(ours))),
    )


def _reported(ratios: Ratios) -> tuple[str, str, str]:
    return f"{ratios.precision:.2f}", f"{ratios.recall:.2f}", f"{ratios.f1:.2f}"
