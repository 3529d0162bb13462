import numpy as np
import pytest

from raybio.errors import InputError, UsageError
from raybio.evaluation.significance import Interval, bootstrap_interval, mean_difference, paired_difference

HIT, MISS, ALARM = ["B-X", "O"], ["O", "O"], ["B-X", "B-X"]


def test_equal_documents_leave_nothing_to_chance():
    """Every draw of units that are all alike has the same precision 1/2 and recall 1."""
    intervals = bootstrap_interval([HIT] * 8, [ALARM] * 8, samples=50)
    assert intervals.precision == Interval(0.5, 0.5)
    assert intervals.recall == Interval(1.0, 1.0)
    assert intervals.f1.low == intervals.f1.high == pytest.approx(2 / 3)
    assert (intervals.units, intervals.unit) == (8, "sentence")


def test_recall_moves_as_the_binomial_does():
    """100 sentences, half of them found: recall of a draw is Binomial(100, 1/2) / 100, sd 0.05."""
    intervals = bootstrap_interval([HIT] * 100, [HIT, MISS] * 50, samples=4000)
    assert intervals.recall.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.02)
    assert intervals.recall.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.02)
    assert intervals.precision == Interval(1.0, 1.0)


def test_sentences_of_one_document_stay_together():
    """Each document holds a hit and a miss, so that recall is 1/2 whatever is drawn."""
    gold, predicted = [HIT] * 8, [HIT, MISS] * 4
    documents = [f"document {i // 2}" for i in range(8)]
    together = bootstrap_interval(gold, predicted, documents, samples=200)
    assert (together.recall, together.units, together.unit) == (Interval(0.5, 0.5), 4, "document")
    apart = bootstrap_interval(gold, predicted, samples=200)
    assert apart.recall.low < 0.5 < apart.recall.high


def test_a_sentence_of_unknown_document_is_its_own_unit():
    assert bootstrap_interval([HIT] * 4, [HIT] * 4, ["", "a", "", "a"], samples=5).units == 3
    unknown = bootstrap_interval([HIT] * 4, [HIT] * 4, [""] * 4, samples=5)
    assert (unknown.units, unknown.unit) == (4, "sentence")


def test_a_document_a_sentence_is_called_a_sentence():
    """Columns of words without document lines are read so: nothing says which sentences go together."""
    apart = bootstrap_interval([HIT] * 4, [HIT] * 4, list("abcd"), samples=5)
    assert (apart.units, apart.unit) == (4, "sentence")


def test_higher_confidence_is_wider_and_a_seed_repeats():
    gold, predicted = [HIT] * 60, [HIT, MISS, ALARM] * 20
    narrow, wide = (
        bootstrap_interval(gold, predicted, samples=400, confidence=confidence) for confidence in (0.5, 0.99)
    )
    assert wide.f1.low < narrow.f1.low < narrow.f1.high < wide.f1.high
    assert narrow == bootstrap_interval(gold, predicted, samples=400, confidence=0.5)
    assert narrow != bootstrap_interval(gold, predicted, samples=400, confidence=0.5, seed=1)


def test_no_difference_between_a_tagger_and_itself():
    difference = paired_difference([HIT] * 6, [HIT, MISS] * 3, [HIT, MISS] * 3, samples=100)
    assert (difference.f1, difference.interval, difference.p_value) == (0.0, Interval(0.0, 0.0), 1.0)


def test_a_difference_in_every_document_is_no_accident():
    """a finds all and b nothing in each unit: no draw is another, so p is the least 99 draws can show."""
    difference = paired_difference([HIT] * 20, [HIT] * 20, [MISS] * 20, samples=99)
    assert (difference.f1, difference.interval) == (1.0, Interval(1.0, 1.0))
    assert difference.p_value == 1 / 100


def test_the_difference_changes_sign_with_the_order():
    gold, a, b = [HIT] * 40, [HIT] * 30 + [MISS] * 10, [HIT, MISS] * 20
    there, back = (paired_difference(gold, *pair, samples=300) for pair in ((a, b), (b, a)))
    assert there.f1 == -back.f1 > 0
    assert (there.interval.low, there.interval.high) == pytest.approx(
        (-back.interval.high, -back.interval.low)
    )
    assert there.p_value == back.p_value


def test_a_difference_of_one_sentence_in_many_is_an_accident():
    gold = [HIT] * 100
    difference = paired_difference(gold, [HIT] * 51 + [MISS] * 49, [HIT] * 50 + [MISS] * 50, samples=500)
    assert difference.p_value > 0.2
    assert difference.interval.low <= 0 < difference.interval.high


def test_a_fair_coin_is_seldom_called_a_difference():
    """Under no difference, p falls below 0.05 about one time in twenty (here: at most 6 of 40)."""
    generator = np.random.default_rng(5)
    gold = [HIT] * 60
    small = 0
    for _ in range(40):
        a, b = ([HIT if found else MISS for found in row] for row in generator.random((2, 60)) < 0.6)
        small += paired_difference(gold, a, b, samples=200).p_value < 0.05
    assert small <= 6


@pytest.mark.parametrize("request_", [{"samples": 0}, {"confidence": 1.0}, {"confidence": 0.0}])
def test_a_senseless_request_is_refused(request_):
    with pytest.raises(UsageError, match="is usual"):
        bootstrap_interval([HIT], [HIT], **request_)


def test_no_sentences_and_missing_documents_are_refused():
    with pytest.raises(InputError, match="no sentence to draw from"):
        bootstrap_interval([], [])
    with pytest.raises(InputError, match="sentence index 1: 1 document ids for 2 sentences"):
        bootstrap_interval([HIT] * 2, [HIT] * 2, ["a"])


def test_one_seed_each_is_the_paired_difference():
    gold, a, b = [HIT] * 20, [HIT, MISS] * 10, [MISS, HIT, HIT, HIT] * 5
    assert mean_difference(gold, [a], [b], samples=100) == paired_difference(gold, a, b, samples=100)


def test_several_seeds_are_compared_by_their_means():
    """F1 of a hit and a miss is 2/3: the mean of 1 and 2/3 stands against 2/3, whatever is drawn."""
    gold, all_right, half = [HIT] * 8, [HIT] * 8, [HIT, MISS] * 4
    documents = [f"document {i // 2}" for i in range(8)]
    found = mean_difference(gold, [all_right, half], [half], documents, samples=50)
    assert found.f1 == pytest.approx((1 + 2 / 3) / 2 - 2 / 3)
    assert found.interval.low == pytest.approx(found.f1) == pytest.approx(found.interval.high)


def test_a_difference_needs_both_sides():
    with pytest.raises(UsageError, match="each side"):
        mean_difference([HIT], [], [[HIT]])
