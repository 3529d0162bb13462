"""Small cases counted by hand."""

import pytest
from nervaluate import Evaluator

from raybio.entities import Span
from raybio.evaluation.semeval import Counts, score_by_label, score_corrected, score_paper
from raybio.iob2 import tags_from_spans


def one(label, start, end):
    return Span(start, end, label)


def test_ratios_count_a_partial_match_as_half():
    counts = Counts(correct=3, incorrect=1, partial=2, missed=2, spurious=4)
    assert (counts.possible, counts.actual) == (8, 10)
    assert counts.precision == 4 / 10
    assert counts.recall == 4 / 8
    assert counts.f1 == pytest.approx(2 * 0.4 * 0.5 / 0.9)


def test_nothing_to_find_and_nothing_found_is_zero():
    assert score_corrected([], []).strict == score_paper([[]], [[]]).strict == Counts()
    assert (Counts().precision, Counts().recall, Counts().f1) == (0.0, 0.0, 0.0)
    assert score_by_label([[]], [[]]) == {}


def test_each_measure_forgives_something_else():
    """One entity each: right, right words with another label, right label with other words, unfounded."""
    gold = [[one("X", 0, 2)], [one("X", 0, 2)], [one("X", 0, 3)], [one("X", 0, 2)]]
    predicted = [[one("X", 0, 2)], [one("Y", 0, 2)], [one("X", 0, 2)], [one("X", 3, 5)]]
    for measures in (score_corrected(gold, predicted), score_paper(gold, predicted)):
        assert measures.strict == Counts(correct=1, incorrect=2, missed=1, spurious=1)
        assert measures.exact == Counts(correct=2, incorrect=1, missed=1, spurious=1)
        assert measures.partial == Counts(correct=2, partial=1, missed=1, spurious=1)
        assert measures.type == Counts(correct=2, incorrect=1, missed=1, spurious=1)


@pytest.mark.parametrize(
    ("gold", "predicted"),
    [
        (one("X", 0, 2), one("X", 1, 2)),  # a one-word entity has no words but its last
        (one("X", 1, 2), one("X", 0, 2)),
        (one("X", 0, 2), one("X", 1, 3)),  # the shared word is the last of one of them
    ],
)
def test_the_paper_does_not_see_an_overlap_in_the_last_word(gold, predicted):
    assert score_corrected([[gold]], [[predicted]]).partial == Counts(partial=1)
    assert score_paper([[gold]], [[predicted]]).partial == Counts(missed=1, spurious=1)


def test_the_paper_counts_gold_twice_when_two_predictions_hit_it():
    """Gold [0, 6) is hit by [0, 3) and [3, 6): for the paper two possible entities of two."""
    gold, predicted = [[one("X", 0, 6)]], [[one("X", 0, 3), one("X", 3, 6)]]
    assert score_paper(gold, predicted).partial == Counts(partial=2)
    assert score_corrected(gold, predicted).partial == Counts(partial=1, spurious=1)


def test_type_takes_the_nearest_gold_entity_of_its_label():
    """Predicted Y [0, 6) meets X [0, 2) first, but its label is that of [2, 6)."""
    gold, predicted = [[one("X", 0, 2), one("Y", 2, 6)]], [[one("Y", 0, 6)]]
    assert score_paper(gold, predicted).type == Counts(incorrect=1, missed=1)
    assert score_corrected(gold, predicted).type == Counts(correct=1, missed=1)


def test_type_is_not_symmetric():
    """[0, 4) is nearer to [1, 5) than to [0, 1) and takes it, which leaves [4, 5) without a partner.

    The other way round, from left to right, each finds one of its own.
    """
    gold, predicted = [[one("X", 0, 1), one("X", 1, 5)]], [[one("X", 0, 4), one("X", 4, 5)]]
    assert score_corrected(gold, predicted).type == Counts(correct=1, missed=1, spurious=1)
    assert score_corrected(predicted, gold).type == Counts(correct=2)


@pytest.mark.parametrize("shared", [1, 2])
def test_an_overlap_below_one_percent_of_gold_is_none(shared):
    """nervaluate's threshold: one word of 150 is 0.67 %, two are 1.33 %."""
    gold, predicted = one("X", 0, 150), one("X", 150 - shared, 155)
    ours = score_corrected([[gold]], [[predicted]]).partial
    assert ours == (Counts(missed=1, spurious=1) if shared == 1 else Counts(partial=1))
    tags = [[tags_from_spans([span], 155)] for span in (gold, predicted)]
    theirs = Evaluator(*tags, tags=["X"], loader="list").evaluate()["overall"]["partial"]
    assert (ours.missed, ours.spurious, ours.partial) == (theirs.missed, theirs.spurious, theirs.partial)


def test_each_label_is_scored_as_if_alone():
    """The Y predicted over X is spurious for Y and leaves X missed."""
    gold, predicted = [[one("X", 0, 2), one("X", 3, 4)]], [[one("Y", 0, 2), one("X", 3, 4)]]
    by_label = score_by_label(gold, predicted)
    assert list(by_label) == ["X", "Y"]
    assert by_label["X"].strict == by_label["X"].exact == Counts(correct=1, missed=1)
    assert by_label["Y"].strict == by_label["Y"].exact == Counts(spurious=1)
