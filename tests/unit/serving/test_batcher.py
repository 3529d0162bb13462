"""In which order requests are tagged, which are refused, and what happens to those that are given up."""

import asyncio
from itertools import chain

import pytest
from samples import sentence_of_words
from serving_fakes import tags_of
from virtual_time import now, run_in_virtual_time

from raybio.errors import OverloadedError, TaggingError
from raybio.serving.batcher import Batched, Batcher


def sentences_of(name, *lengths):
    """Sentences of so many words, the first of which is `name`."""
    return [sentence_of_words(name, *["x"] * (length - 1)) for length in lengths]


class Model:
    """Tags batches, each of which takes `seconds` and `word_seconds` for each word; remembers them."""

    def __init__(self, seconds=0.0, word_seconds=0.0):
        self._seconds = seconds
        self._word_seconds = word_seconds
        self.batches = []
        self.words = 0
        self._busy = False

    async def __call__(self, requests):
        assert not self._busy and all(requests)
        self._busy = True
        self.batches.append([(request[0].words[0], sum(map(len, request))) for request in requests])
        words = sum(map(len, chain(*requests)))
        await asyncio.sleep(self._seconds + self._word_seconds * words)
        self._busy = False
        self.words += words
        return [
            TaggingError("no") if request[0].words[0] == "poison" else tuple(map(tags_of, request))
            for request in requests
        ]


def batcher_of(model, max_words=10, max_requests=1000, **options):
    return Batcher(model, max_words=max_words, max_requests=max_requests, clock=now, **options)


def tag_all(model, *requests, **options):
    async def ask():
        batcher = batcher_of(model, **options)
        return await asyncio.gather(*map(batcher.tag, requests), return_exceptions=True)

    return run_in_virtual_time(ask())


def test_what_waits_is_batched_in_the_order_of_arrival_and_never_over_the_bound():
    model = Model()
    requests = [sentences_of(name, 2, 2) for name in "abcde"]
    answers = tag_all(model, *requests)
    assert model.batches == [[("a", 4), ("b", 4)], [("c", 4), ("d", 4)], [("e", 4)]]
    assert [answer.tags for answer in answers] == [tuple(map(tags_of, request)) for request in requests]
    assert [(answer.batch_requests, answer.batch_size) for answer in answers][::4] == [(2, 4), (1, 2)]


def test_a_long_request_takes_turns_with_the_others():
    model = Model(0.001)
    long = sentences_of("long", 4, 5, 3, 8, 9, 2)
    answers = tag_all(model, long, *[sentences_of(name, 6) for name in "abc"])
    assert model.batches == [
        [("long", 9)],
        [("a", 6)],
        [("b", 6)],
        [("c", 6), ("long", 3)],
        [("long", 8)],
        [("long", 9)],
        [("long", 2)],
    ]
    assert answers[0].tags == tuple(map(tags_of, long))
    assert answers[0].model_seconds > 3 * answers[1].model_seconds


def test_two_long_requests_and_a_stream_of_short_ones_all_end():
    async def check():
        model = Model(0.001)
        batcher = batcher_of(model)
        long = [asyncio.ensure_future(batcher.tag(sentences_of(name, *[5] * 40))) for name in "AB"]
        await asyncio.sleep(0)
        waited = []
        while not all(task.done() for task in long):
            before = len(model.batches)
            await batcher.tag(sentences_of("s", 3))
            waited.append(len(model.batches) - before)
        assert len(waited) > 10
        # The batch that the model is at, one of each long request, and its own.
        assert max(waited) <= 4

    run_in_virtual_time(check())


@pytest.mark.parametrize("lengths", [[25], [3, 25, 4], [25, 25]])
def test_a_sentence_longer_than_a_batch_goes_alone(lengths):
    model = Model()
    (answer, other) = tag_all(model, sentences_of("a", *lengths), sentences_of("b", 2))
    assert answer.tags == tuple(map(tags_of, sentences_of("a", *lengths)))
    assert len(other.tags) == 1
    assert all(len(batch) == 1 for batch in model.batches if batch[0][1] > 10)
    assert model.words == sum(lengths) + 2


def test_no_sentences_are_answered_at_once():
    model = Model()
    assert tag_all(model, []) == [Batched((), 0.0, 0, 0)]
    assert model.batches == []


def test_a_failure_is_of_its_request_alone_and_ends_a_long_one():
    model = Model()
    answers = tag_all(
        model, sentences_of("poison", *[5] * 8), sentences_of("a", 3), sentences_of("poison", 2)
    )
    assert [type(answer) for answer in answers] == [TaggingError, Batched, TaggingError]
    assert sum(words for batch in model.batches for name, words in batch if name == "poison") == 10 + 2


def test_nobody_waits_for_ever_where_batches_fail_in_a_way_of_their_own():
    async def broken(requests):
        raise RuntimeError("cannot schedule new futures after shutdown")

    for answer in tag_all(broken, sentences_of("a", 3), sentences_of("b", 12)):
        assert isinstance(answer, TaggingError) and "after shutdown" in str(answer)


def test_a_request_given_up_is_not_tagged_and_a_long_one_no_further():
    async def check():
        model = Model(0.05)
        batcher = batcher_of(model)
        long = sentences_of("long", *[5] * 40)
        given_up = [asyncio.wait_for(batcher.tag(long), 0.08)]
        given_up += [asyncio.wait_for(batcher.tag(sentences_of("gone", 10)), 0.02) for _ in range(5)]
        started = now()
        outcomes = await asyncio.gather(*given_up, return_exceptions=True)
        assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
        await batcher.tag(sentences_of("a", 3))
        # Two batches of the long one were begun when it was given up.
        assert now() - started < 4 * 0.05
        assert model.batches == [[("long", 10)], [("long", 10)], [("a", 3)]]
        await asyncio.sleep(0.1)
        assert len(model.batches) == 3

    run_in_virtual_time(check())


def test_a_model_that_was_idle_waits_for_company_where_it_may():
    async def arrivals(batcher):
        async def late(delay, name):
            await asyncio.sleep(delay)
            await batcher.tag(sentences_of(name, 4))

        await asyncio.gather(late(0, "a"), late(0.01, "b"), late(0.02, "c"))

    patient, full, hasty = Model(), Model(), Model()
    run_in_virtual_time(arrivals(batcher_of(patient, 100, wait_seconds=0.1)))
    # Full after the third: it does not wait any longer.
    run_in_virtual_time(asyncio.wait_for(arrivals(batcher_of(full, 12, wait_seconds=60.0)), 1))
    run_in_virtual_time(arrivals(batcher_of(hasty, 100)))
    assert [len(batch) for batch in patient.batches] == [3]
    assert [len(batch) for batch in full.batches] == [3]
    assert [len(batch) for batch in hasty.batches] == [1, 1, 1]


def fill(batcher, name, count, length):
    return [asyncio.ensure_future(batcher.tag(sentences_of(name, length))) for _ in range(count)]


def test_what_could_not_be_answered_in_time_is_refused_at_once():
    async def check():
        model = Model(word_seconds=0.001)
        batcher = batcher_of(model)
        assert batcher.estimate(10) is None
        await asyncio.gather(*fill(batcher, "a", 20, 10))
        assert batcher.estimate(100) == pytest.approx(0.1)
        waiting = fill(batcher, "b", 20, 10)
        await asyncio.sleep(0)
        started = now()
        needed = batcher.estimate(5)
        with pytest.raises(OverloadedError, match=r"about 0 s.* 0.1 s are allowed") as caught:
            await batcher.tag(sentences_of("c", 5), seconds_allowed=0.1)
        assert now() == started
        assert 0 < caught.value.retry_after < needed
        assert len((await batcher.tag(sentences_of("c", 5), seconds_allowed=10 * needed)).tags) == 1
        await asyncio.gather(*waiting)

    run_in_virtual_time(check())


def test_a_long_request_that_waits_does_not_have_short_ones_refused():
    async def check():
        model = Model(word_seconds=0.001)
        batcher = batcher_of(model)
        await asyncio.gather(*fill(batcher, "a", 10, 10))
        long = asyncio.ensure_future(batcher.tag(sentences_of("long", *[5] * 100)))
        await asyncio.sleep(0)
        assert batcher.estimate(500) > 0.9
        assert batcher.estimate(5) < 0.1
        started = now()
        await batcher.tag(sentences_of("s", 5), seconds_allowed=0.3)
        assert now() - started < 0.3
        with pytest.raises(OverloadedError):
            await batcher.tag(sentences_of("l", *[5] * 100), seconds_allowed=0.6)
        long.cancel()
        await asyncio.sleep(0.05)
        # It left nothing behind.
        assert batcher.estimate(5) < 0.02

    run_in_virtual_time(check())


def test_small_batches_say_nothing_of_the_speed():
    async def check():
        # Most of the time of a small batch is the same for one of any size.
        batcher = batcher_of(Model(seconds=0.02), max_words=1000)
        for _ in range(5):
            await batcher.tag(sentences_of("a", 3))
        assert batcher.estimate(1000) is None
        await batcher.tag(sentences_of("a", *[10] * 100), seconds_allowed=0.1)

    run_in_virtual_time(check())


@pytest.mark.parametrize("times", [4, 10, 40])
def test_under_overload_every_request_is_answered_in_time_or_refused_at_once(times):
    """Clients that ask again as soon as they are answered, and refused ones a little later."""
    seconds_allowed, duration = 0.4, 1.0

    async def client(batcher, answered, refused):
        while now() < duration:
            started = now()
            try:
                await batcher.tag(sentences_of("a", 5), seconds_allowed=seconds_allowed)
                answered.append(now() - started)
            except OverloadedError:
                refused.append(now() - started)
                await asyncio.sleep(0.02)

    async def flood(clients):
        model, answered, refused = Model(seconds=0.002, word_seconds=0.0002), [], []
        batcher = batcher_of(model, 50)
        await asyncio.gather(*fill(batcher, "first", 10, 5))  # now its speed is known
        await asyncio.gather(*(client(batcher, answered, refused) for _ in range(clients)))
        return len(answered) / now(), answered, refused

    best, _, none = run_in_virtual_time(flood(20))
    speed, answered, refused = run_in_virtual_time(flood(20 * times))
    assert not none
    assert speed >= 0.95 * best
    assert max(answered) < seconds_allowed
    assert refused if times == 40 else not refused
    assert set(refused) <= {0.0}
