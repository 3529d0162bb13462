"""Percentiles of latencies: nearest rank, and intervals that keep their promise."""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybio.errors import UsageError
from raybio.evaluation.latency import fewest_for, interval_ranks, percentile, summarize

SECONDS = st.floats(min_value=0, max_value=1e6, allow_nan=False)
PERCENTS = st.integers(1, 99)
CONFIDENCES = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])


def chance_at_most(k: int, count: int, percent: int) -> Fraction:
    """P(Bin(count, percent / 100) <= k), exactly."""
    share = Fraction(percent, 100)
    return sum(
        (math.comb(count, i) * share**i * (1 - share) ** (count - i) for i in range(k + 1)), Fraction(0)
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 150), PERCENTS, CONFIDENCES)
def test_each_bound_errs_as_seldom_as_it_promises_and_no_closer_one_would(count, percent, confidence):
    low, high = interval_ranks(count, percent, confidence)
    tail = (1 - Fraction(confidence)) / 2
    # A rank that nothing bars would be `low`: 0 stands for "below all of them".
    assert chance_at_most((low or 0) - 1, count, percent) <= tail < chance_at_most(low or 0, count, percent)
    top = high or count + 1
    assert 1 - chance_at_most(top - 1, count, percent) <= tail < 1 - chance_at_most(top - 2, count, percent)


@settings(deadline=None)
@given(st.lists(SECONDS, min_size=1, max_size=300), PERCENTS)
def test_a_percentile_is_the_least_that_so_many_percent_do_not_exceed(seconds, percent):
    found = percentile(seconds, percent)
    assert found.value in seconds
    assert 100 * sum(s <= found.value for s in seconds) >= percent * len(seconds)
    assert 100 * sum(s < found.value for s in seconds) < percent * len(seconds)


@settings(deadline=None)
@given(st.lists(SECONDS, min_size=1, max_size=300), PERCENTS, CONFIDENCES)
def test_a_percentile_lies_in_its_interval(seconds, percent, confidence):
    found = percentile(seconds, percent, confidence)
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.value <= found.high


@settings(deadline=None)
@given(st.lists(SECONDS, min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_the_order_of_latencies_does_not_matter(seconds, source):
    shuffled = source.sample(seconds, len(seconds))
    assert summarize(shuffled) == summarize(seconds)


@pytest.mark.parametrize(("percent", "count"), [(50, 40), (90, 120), (99, 500)])
def test_intervals_hold_the_truth_as_often_as_they_say(percent, count):
    """Of skewed latencies (exponential), whose percentiles are known."""
    source = random.Random(percent)
    truth = -math.log1p(-percent / 100)
    draws = 2000
    held = 0
    for _ in range(draws):
        found = percentile([source.expovariate(1) for _ in range(count)], percent)
        assert found.low is not None and found.high is not None
        held += found.low <= truth <= found.high
    # 95 % or a little more is promised; five standard errors of 2,000 draws are 2.4 %.
    assert held / draws > 0.95 - 0.024


def test_known_ranks():
    # P(6 <= Bin(20, 1/2) <= 14) is 95.86 %, and no narrower pair has 2.5 % at most on either side.
    assert interval_ranks(20, 50) == (6, 15)
    assert interval_ranks(5, 50) == (None, None)


def test_a_sample_too_small_has_no_bound():
    found = percentile([0.1] * 20, 99)
    assert (found.value, found.high) == (0.1, None)
    assert found.low == 0.1


@pytest.mark.parametrize("percent", [1, 10, 50, 90, 99])
def test_fewest_for_is_the_fewest(percent):
    fewest = fewest_for(percent)
    assert None not in interval_ranks(fewest, percent)
    assert None in interval_ranks(fewest - 1, percent)


def test_the_99th_percentile_needs_368_latencies():
    assert fewest_for(99) == 368


def test_many_latencies_do_not_underflow():
    low, high = interval_ranks(200_000, 99)
    assert low is not None and high is not None
    spread = 1.96 * math.sqrt(200_000 * 0.99 * 0.01)
    assert low == pytest.approx(198_000 - spread, abs=3)
    assert high == pytest.approx(198_000 + spread, abs=3)


def test_a_summary_as_json():
    figures = summarize([1.0, 2.0, 3.0]).to_dict()
    assert figures["mean"] == 2.0
    assert figures["max"] == 3.0
    assert figures["p50"] == {"value": 2.0, "low": None, "high": None}


@pytest.mark.parametrize(("percent", "confidence"), [(0, 0.95), (100, 0.95), (50, 1.0)])
def test_what_is_out_of_range_is_refused(percent, confidence):
    with pytest.raises(UsageError):
        percentile([1.0], percent, confidence)


def test_no_latency_is_refused():
    with pytest.raises(UsageError, match="no request was answered"):
        summarize([])
