"""Small cases counted by hand."""

from raybio.entities import Span
from raybio.evaluation.by_length import TwoSided, paper_by_length, sound_by_length
from raybio.evaluation.semeval import Counts, corrected_pairs


def sound(gold, predicted):
    return sound_by_length(corrected_pairs(gold, predicted))


def test_the_paper_cuts_the_prediction_to_its_gold_entity():
    """[0, 5) is wrong for gold [1, 3), but cut to it is right; its 3 other words go to length 1."""
    groups = paper_by_length([[Span(1, 3, "X")]], [[Span(0, 5, "X")]])
    assert groups["length_2"].strict == Counts(correct=1)
    assert groups["length_1"].strict == Counts(spurious=3)
    assert groups["length_3plus"].strict == Counts()


def test_sound_gives_each_side_its_own_length():
    """The same case: a gold entity of 2 words not recalled, a predicted one of 5 not precise."""
    groups = sound([[Span(1, 3, "X")]], [[Span(0, 5, "X")]])
    assert groups["length_1"].strict == TwoSided(Counts(), Counts())
    assert groups["length_2"].strict == TwoSided(gold=Counts(incorrect=1), predicted=Counts())
    assert groups["length_3plus"].strict == TwoSided(gold=Counts(), predicted=Counts(incorrect=1))
    assert groups["length_2"].partial.recall == groups["length_3plus"].partial.precision == 0.5


def test_a_false_alarm_counts_at_its_own_length():
    groups = sound([[], [Span(0, 3, "X")]], [[Span(4, 6, "X")], []])
    assert groups["length_2"].strict == TwoSided(Counts(), Counts(spurious=1))
    assert groups["length_3plus"].strict == TwoSided(Counts(missed=1), Counts())
    paper = paper_by_length([[], [Span(0, 3, "X")]], [[Span(4, 6, "X")], []])
    assert paper["length_1"].strict == Counts(spurious=2)
    assert paper["length_2"].strict == Counts()


def test_the_figures_name_their_side():
    """Of length 1: gold 2 (1 found), predicted 3 (1 right, 1 part of a longer entity, 1 unfounded)."""
    gold = [[Span(0, 1, "X"), Span(2, 3, "X"), Span(4, 6, "X")]]
    predicted = [[Span(0, 1, "X"), Span(4, 5, "X"), Span(8, 9, "X")]]
    figures = sound(gold, predicted)["length_1"].partial.to_dict()
    assert figures == {
        "precision": 1.5 / 3,
        "recall": 1 / 2,
        "f1": 0.5,
        "correct": 1,
        "incorrect": 0,
        "partial": 0,
        "missed": 1,
        "possible": 2,
        "correct_predicted": 1,
        "incorrect_predicted": 0,
        "partial_predicted": 1,
        "spurious": 1,
        "actual": 3,
    }
