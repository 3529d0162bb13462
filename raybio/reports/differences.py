"""How far apart models are that tagged the same sentences, and what only one of two gets right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

from raybio.entities import Span
from raybio.evaluation.by_length import GROUPS
from raybio.evaluation.significance import paired_difference
from raybio.evaluation.tables import NAMES, p_value
from raybio.reports import tables
from raybio.reports.blocks import Axis, Block, Chart, Example, Examples, Line, Mark, Section, Table
from raybio.reports.mistakes import Judged, Outcome, choose_examples, judge_sentences, show_sides, verdict
from raybio.reports.tested import Tested

_DRAWS = 1000
_EXAMPLES = 4
_MAX_PAIRS = 6


def difference_sections(tested: Sequence[Tested]) -> Iterator[Section]:
    """Yield, for each corpus on which several were tested, how they differ, with intervals and examples."""
    for corpus in dict.fromkeys(each.corpus for each in tested):
        alike = _same_gold([each for each in tested if each.corpus == corpus and each.sentences])
        if len(alike) > 1:
            yield Section(f"How they differ: {corpus}", tuple(_differences(alike)))


def length_chart(tested: Sequence[Tested]) -> Chart:
    """Return strict F1 by length of entity, grouped the sound way."""
    places = tuple((float(place), NAMES[group]) for place, group in enumerate(GROUPS, start=1))
    lines = []
    for each in tested:
        found = (each.scores["corrected"][group]["strict"]["f1"] for group in GROUPS)
        points = tuple((place, 100 * f1) for (place, _), f1 in zip(places, found, strict=True))
        lines.append(Line(each.marked, points, tuple(Mark(*point) for point in points)))
    return Chart(
        caption="Strict F1 by length of entity, corrected scorer",
        x=Axis("length of entity", named=places),
        y=Axis("strict F1 in percent"),
        lines=tuple(lines),
        notes=("Sound: recall over gold entities of that length, precision over predicted ones.",),
    )


def _same_gold(tested: Sequence[Tested]) -> list[Tested]:
    """Return those that were scored on the very sentences and gold tags of the first."""
    if not tested:
        return []
    first = [(sentence.words, sentence.gold) for sentence in tested[0].sentences]
    return [each for each in tested if [(s.words, s.gold) for s in each.sentences] == first]


def _differences(tested: Sequence[Tested]) -> Iterator[Block]:
    ranked = sorted(tested, key=lambda each: -each.strict_f1)
    judged = [judge_sentences(each.sentences) for each in ranked]
    pairs = list(combinations(ranked, 2))
    yield _difference_table(pairs[:_MAX_PAIRS])
    if len(pairs) > _MAX_PAIRS:
        yield f"Of {len(pairs)} pairs only the first {_MAX_PAIRS}, by the F1 of who is better, are shown."
    yield _outcome_table(ranked, judged)
    # The best of another kind (an encoder, an LLM) says more than the second of the same.
    second = next((i for i, each in enumerate(ranked) if each.kind != ranked[0].kind), 1)
    best, partner = (ranked[0], judged[0]), (ranked[second], judged[second])
    yield _agreement_table(*best, *partner)
    for (right, of_right), (wrong, of_wrong) in ((best, partner), (partner, best)):
        items = tuple(_only_right(right, of_right, wrong, of_wrong))
        if items:
            yield Examples(
                f"{right.name} right, {wrong.name} wrong",
                f"Gold entities that {right.name} finds with words and label, and {wrong.name} does not.",
                items,
            )


def _difference_table(pairs: Sequence[tuple[Tested, Tested]]) -> Table:
    rows = []
    for one, other in pairs:
        gold = [sentence.gold for sentence in one.sentences]
        found = paired_difference(
            gold,
            [sentence.predicted for sentence in one.sentences],
            [sentence.predicted for sentence in other.sentences],
            samples=_DRAWS,
        )
        rows.append(
            (
                one.name,
                other.name,
                f"{100 * found.f1:+.2f}",
                f"{100 * found.interval.low:+.2f} to {100 * found.interval.high:+.2f}",
                p_value(found.p_value),
            )
        )
    return Table(
        caption="Differences in strict F1, corrected scorer, points: the first less the second",
        header=("first", "second", "F1", "95 % interval", "p"),
        rows=tuple(rows),
        notes=(
            f"Paired bootstrap, {_DRAWS:,} draws of sentences, the same for both. Where errors go together "
            "within a document intervals come out too narrow. One that holds 0 shows no difference.",
        ),
        words=2,
    )


def _outcome_table(ranked: Sequence[Tested], judged: Sequence[Sequence[Judged]]) -> Table:
    rows = tuple(
        (outcome.value, *(f"{sum(found.outcome is outcome for found in each):,}" for each in judged))
        for outcome in Outcome
    )
    return Table(
        caption="Outcome of the gold entities, and spurious ones of each prediction",
        header=("outcome", *(each.name for each in ranked)),
        rows=rows,
        strong=frozenset({0}),
    )


def _found(judged: Sequence[Judged]) -> set[tuple[int, Span]]:
    return {(each.sentence, each.gold) for each in judged if each.outcome is Outcome.CORRECT and each.gold}


def _agreement_table(
    one: Tested, of_one: Sequence[Judged], other: Tested, of_other: Sequence[Judged]
) -> Table:
    gold = sum(1 for each in of_one if each.gold)
    ours, theirs = _found(of_one), _found(of_other)
    counts = (
        ("both", len(ours & theirs)),
        (f"only {one.name}", len(ours - theirs)),
        (f"only {other.name}", len(theirs - ours)),
        ("neither", gold - len(ours | theirs)),
    )
    return Table(
        caption=f"Who finds the {gold:,} gold entities, with words and label",
        header=("found by", "entities", "percent"),
        rows=tuple(
            (name, f"{n:,}", tables.percent(n / gold) if gold else tables.ABSENT) for name, n in counts
        ),
        bars=frozenset({2}),
    )


def _only_right(
    right: Tested, of_right: Sequence[Judged], wrong: Tested, of_wrong: Sequence[Judged]
) -> Iterator[Example]:
    """Yield examples, one of each kind of error first, then more of the commonest."""
    found = _found(of_right)
    missed = [
        each
        for each in of_wrong
        if each.gold and each.outcome is not Outcome.CORRECT and (each.sentence, each.gold) in found
    ]
    kinds = [outcome for outcome, _ in Counter(each.outcome for each in missed).most_common()]
    chosen = [example for kind in kinds for example in choose_examples(missed, kind, 1)]
    if kinds:
        more = choose_examples(missed, kinds[0], _EXAMPLES)
        chosen += [each for each in more if each not in chosen]
    for each in chosen[:_EXAMPLES]:
        yield show_sides(
            right.sentences[each.sentence].words,
            each,
            gold=[
                (j.gold, f"{verdict(each)} by {wrong.name}" if j is each else "")
                for j in of_wrong
                if j.sentence == each.sentence and j.gold
            ],
            others=[
                (right.name, [j for j in of_right if j.sentence == each.sentence]),
                (wrong.name, [j for j in of_wrong if j.sentence == each.sentence]),
            ],
        )
