import pytest

from raybio.entities import Span
from raybio.evaluation.disagreements import Quirk, find_disagreements
from raybio.evaluation.semeval import Counts


@pytest.mark.parametrize(
    ("gold", "predicted", "reason"),
    [
        ([Span(0, 2, "X")], [Span(1, 2, "X")], Quirk.LAST_WORD),
        ([Span(0, 6, "X")], [Span(0, 3, "X"), Span(3, 6, "X")], Quirk.GOLD_TWICE),
        ([Span(0, 300, "X")], [Span(298, 305, "X")], Quirk.SLIVER),  # 2 of 300 words are 0.67 %
        ([Span(0, 2, "X"), Span(2, 6, "Y")], [Span(0, 6, "Y")], Quirk.FIRST_OVERLAP),
    ],
)
def test_each_quirk_is_named(gold, predicted, reason):
    (place,) = find_disagreements([gold], [predicted])
    assert (list(place.gold), list(place.predicted)) == (gold, predicted)
    assert place.reasons == (reason,)
    assert place.paper != place.corrected


def test_two_quirks_may_meet_in_one_place():
    """The paper pairs [0, 6) with both [0, 3) and [3, 7), and sees nothing in common at word 8."""
    gold, predicted = [Span(0, 6, "X"), Span(6, 9, "X")], [Span(0, 3, "X"), Span(3, 7, "X"), Span(8, 10, "X")]
    (place,) = find_disagreements([gold], [predicted])
    assert place.reasons == (Quirk.LAST_WORD, Quirk.GOLD_TWICE)
    assert place.paper.partial == Counts(partial=2, missed=1, spurious=1)
    assert place.corrected.partial == Counts(partial=2, spurious=1)


def test_two_quirks_that_undo_each_other_are_no_disagreement():
    """Word 5 is the last: unseen by the paper, which else would count gold twice; spurious for both."""
    gold, predicted = [Span(0, 6, "X")], [Span(0, 3, "X"), Span(5, 6, "X")]
    assert list(find_disagreements([gold], [predicted])) == []


def test_places_are_found_apart_and_in_order():
    """Sentence 1 holds a fault, a place that both scorers count alike, and another fault."""
    gold = [[], [Span(0, 1, "X"), Span(3, 6, "X"), Span(8, 9, "X")]]
    predicted = [[Span(0, 4, "X")], [Span(0, 2, "X"), Span(3, 5, "X"), Span(7, 9, "X")]]
    places = list(find_disagreements(gold, predicted))
    assert [(place.sentence, place.gold, place.predicted) for place in places] == [
        (1, (Span(0, 1, "X"),), (Span(0, 2, "X"),)),
        (1, (Span(8, 9, "X"),), (Span(7, 9, "X"),)),
    ]


def test_places_that_touch_but_share_no_word_are_two():
    gold, predicted = [Span(0, 1, "X"), Span(2, 3, "X")], [Span(0, 2, "X"), Span(2, 4, "X")]
    assert [place.gold for place in find_disagreements([gold], [predicted])] == [(gold[0],), (gold[1],)]
