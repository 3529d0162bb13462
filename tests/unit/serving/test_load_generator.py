"""What the load generator sends, when, and what it makes of a model that is slow, stalls or fails."""

import asyncio
import statistics
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sentence_of_words
from serving_fakes import FakeModel

from raybio.serving.load_generator import at_times, drawn, in_window, poisson_times, together, warm_up

SENTENCES = [sentence_of_words("word", str(i), name=f"s{i}") for i in range(12)]
SINGLE = [[sentence] for sentence in SENTENCES]
COUNTS = st.integers(1, 60)


def test_a_window_of_one_is_a_single_stream():
    model = FakeModel(seconds=0.002)
    outcomes = asyncio.run(in_window(model.tag, SINGLE, 1))
    assert model.most_at_once == 1
    assert [outcome.request for outcome in outcomes] == SINGLE
    for before, after in pairwise(outcomes):
        assert before.finished <= after.started
    assert all(0.002 <= outcome.seconds == outcome.finished - outcome.started for outcome in outcomes)


def test_a_window_is_filled_and_never_exceeded():
    model = FakeModel(seconds=0.005)
    outcomes = asyncio.run(in_window(model.tag, SINGLE, 4))
    assert model.most_at_once == 4
    assert [outcome.request for outcome in outcomes] == SINGLE


def test_a_window_larger_than_the_requests_sends_them_all_at_once():
    model = FakeModel(seconds=0.005)
    asyncio.run(in_window(model.tag, SINGLE, 100))
    assert model.most_at_once == len(SINGLE)


def test_each_answer_stays_with_its_request():
    # The later a request, the sooner its answer: they finish in reverse.
    model = FakeModel(seconds=lambda asked: 0.06 - 0.005 * asked)
    for outcome in asyncio.run(in_window(model.tag, SINGLE, 12)):
        assert outcome.served is not None
        assert [tags.tags for tags in outcome.served.answer.tags] == [("O", "B-X")]
        assert outcome.served.answer.replica == outcome.request[0].id


def test_a_failed_request_is_an_outcome_and_the_rest_continue():
    model = FakeModel(fails=lambda asked: asked % 3 == 0)
    outcomes = asyncio.run(in_window(model.tag, SINGLE, 2))
    failed = [outcome for outcome in outcomes if outcome.served is None]
    assert (len(outcomes), len(failed)) == (12, 4)
    assert {outcome.error for outcome in failed} == {"the model is down"}
    assert all(outcome.error == "" for outcome in outcomes if outcome.served)


def test_a_fault_of_the_program_is_no_outcome():
    async def tag(sentences):
        raise TypeError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(in_window(tag, SINGLE, 2))
    assert caught.group_contains(TypeError)


def test_requests_are_sent_at_their_times_however_slow_the_model():
    model = FakeModel(seconds=0.1)
    times = [0.01 * i for i in range(10)]
    outcomes = asyncio.run(at_times(model.tag, SINGLE[:10], times))
    assert [outcome.scheduled for outcome in outcomes] == times
    assert model.most_at_once > 5
    assert all(outcome.started >= outcome.scheduled for outcome in outcomes)


def test_latency_runs_from_the_scheduled_time():
    """Everything stands still for 0.2 s: requests that were due meanwhile have waited since they were due."""
    model = FakeModel(stalls=lambda asked: 0.2 if asked == 0 else 0.0)
    times = [0.0, 0.05, 0.1, 0.15]
    outcomes = asyncio.run(at_times(model.tag, SINGLE[:4], times))
    for outcome, due in zip(outcomes[1:], times[1:], strict=True):
        assert outcome.started >= 0.2
        assert outcome.seconds >= 0.2 - due
        assert outcome.seconds == outcome.finished - due


def test_times_and_requests_must_be_as_many():
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(at_times(FakeModel().tag, SINGLE[:2], [0.0]))
    assert caught.group_contains(ValueError)


def test_a_warm_up_fills_the_concurrency_and_lasts():
    model = FakeModel(seconds=0.005)
    started = time.perf_counter()
    outcomes = asyncio.run(warm_up(model.tag, SINGLE, 5, 0.1))
    assert time.perf_counter() - started >= 0.1
    assert model.most_at_once == 5
    assert len(outcomes) > len(SINGLE)


def test_a_warm_up_without_time_still_fills_the_concurrency():
    model = FakeModel(seconds=0.005)
    outcomes = asyncio.run(warm_up(model.tag, SINGLE[:2], 6, 0))
    assert (len(outcomes), model.most_at_once) == (6, 6)


@settings(deadline=None)
@given(st.floats(0.1, 1000), COUNTS, st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_arrivals_rise_and_keep_to_their_bounds(rate, most, max_seconds, seed):
    times = poisson_times(rate, most, max_seconds, seed)
    assert 1 <= len(times) <= most
    assert times == sorted(times) and times[0] >= 0
    assert len(times) == 1 or times[-1] <= max_seconds
    assert times == poisson_times(rate, most, max_seconds, seed)


def test_gaps_between_arrivals_are_exponential():
    times = poisson_times(20, 20_000, 1e9, 7)
    gaps = [after - before for before, after in zip([0, *times], times, strict=False)]
    # Mean and deviation are both 1 / rate; five standard errors are 3.5 %, and twice that for the deviation.
    assert statistics.fmean(gaps) == pytest.approx(0.05, rel=0.035)
    assert statistics.pstdev(gaps) == pytest.approx(0.05, rel=0.07)
    assert poisson_times(20, 10, 1e9, 8) != times[:10]


@settings(deadline=None)
@given(COUNTS, st.integers(0, 1000))
def test_no_sentence_is_drawn_twice_before_all_were(count, seed):
    requests = drawn(SENTENCES, count, seed)
    assert len(requests) == count
    names = [sentence.id for request in requests for sentence in request]
    for start in range(0, count, len(SENTENCES)):
        part = names[start : start + len(SENTENCES)]
        assert len(set(part)) == len(part)
    assert requests == drawn(SENTENCES, count, seed)


@settings(deadline=None)
@given(st.integers(1, 20))
def test_together_keeps_every_sentence_in_order(size):
    requests = together(SENTENCES, size)
    assert [sentence for request in requests for sentence in request] == SENTENCES
    assert all(len(request) == size for request in requests[:-1])
