"""What a replica does with the requests of a batch; Ray is needed only to bring them there."""

import asyncio
import threading
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import ClassVar

import pytest
from samples import sentence_of_words
from serving_fakes import tags_of

from raybio.config import ServedModelSection
from raybio.errors import OverloadedError, TaggingError
from raybio.model_sources import ModelReference
from raybio.serving import replica
from raybio.serving.replica import MAX_FAILED_BATCHES, Replica, tag_requests


class Choosy:
    """Tags anything without the word "poison"; counts how often it is asked."""

    labels = ("X",)
    counts: ClassVar = {}

    def __init__(self):
        self.asked = 0

    def tag(self, sentences):
        self.asked += 1
        if any("poison" in sentence.words for sentence in sentences):
            raise ValueError("no")
        return [tags_of(sentence) for sentence in sentences]


REQUESTS = [[sentence_of_words("a", "b"), sentence_of_words("c")], [], [sentence_of_words("d")]]


def test_a_batch_is_tagged_at_once_and_each_request_has_its_own():
    tagger = Choosy()
    tagged = tag_requests(tagger, REQUESTS)
    assert tagger.asked == 1
    assert tagged == [tuple(tags_of(sentence) for sentence in request) for request in REQUESTS]


def test_only_the_request_to_blame_fails():
    tagged = tag_requests(Choosy(), [*REQUESTS, [sentence_of_words("poison")]])
    assert tagged[:3] == tag_requests(Choosy(), REQUESTS)
    assert isinstance(tagged[3], TaggingError)
    assert str(tagged[3]) == "the model failed on this text: ValueError: no"


@pytest.mark.parametrize("answers", [0, 3])
def test_a_tagger_that_does_not_answer_to_each_sentence_is_not_believed(answers):
    class Wrong(Choosy):
        def tag(self, sentences):
            return [tags_of(sentences[0])] * answers

    (tagged,) = tag_requests(Wrong(), REQUESTS[:1])
    assert isinstance(tagged, TaggingError)


@pytest.fixture
def replica_of(monkeypatch):
    """A replica outside Ray Serve, around a tagger of ours; its metrics go nowhere."""
    context = SimpleNamespace(replica_id=SimpleNamespace(unique_id="r"))
    nothing = SimpleNamespace(**dict.fromkeys(("answered", "rejected", "batch"), lambda *found: None))
    monkeypatch.setattr(replica.serve, "get_replica_context", lambda: context)
    monkeypatch.setattr(replica, "ReplicaMetrics", lambda *_: nothing)

    def make(tagger, **options):
        monkeypatch.setattr(replica, "load", lambda *_: ("encoder", tagger))
        return Replica(
            ServedModelSection(name="m", model="m", **options), ModelReference("m", "f"), run_id=""
        )

    return make


async def ask(served, *words):
    """Send one request after the other; those that fail are as good as those that do not."""
    for word in words:
        with suppress(TaggingError):
            await anext(served.tag([sentence_of_words(word)]))


class Breaks(Choosy):
    """Fails on everything once it has been asked for "poison"."""

    def tag(self, sentences):
        self.broken = getattr(self, "broken", False) or any("poison" in s.words for s in sentences)
        if self.broken:
            raise ValueError("CUDA error: device-side assert triggered")
        return super().tag(sentences)


@pytest.mark.parametrize("before", [[], ["fine"]])
def test_a_replica_that_fails_on_everything_is_not_healthy(replica_of, before):
    async def check():
        served = replica_of(Breaks())
        await ask(served, *before, *["poison"] * (MAX_FAILED_BATCHES - 1))
        await served.check_health()
        await ask(served, "poison")
        with pytest.raises(RuntimeError, match=f"all requests of {MAX_FAILED_BATCHES} batches in a row"):
            await served.check_health()

    asyncio.run(check())


@pytest.mark.parametrize("before", [[], ["fine"]])
@pytest.mark.parametrize("poisons", [["poison"], ["poison", "other poison"]])
def test_texts_that_a_model_fails_on_do_not_make_a_healthy_replica_ill(replica_of, before, poisons):
    async def check():
        tagger = Choosy()
        served = replica_of(tagger)
        await ask(served, *before)
        for _ in range(3 * MAX_FAILED_BATCHES):
            await asyncio.gather(
                *(ask(served, *poison.split()) for poison in poisons), return_exceptions=True
            )
            await served.check_health()

    asyncio.run(check())


def test_a_replica_that_broke_and_recovered_is_healthy_again(replica_of):
    async def check():
        tagger = Breaks()
        served = replica_of(tagger)
        await ask(served, *["poison"] * MAX_FAILED_BATCHES)
        with pytest.raises(RuntimeError):
            await served.check_health()
        tagger.broken = False
        await ask(served, "fine")
        await served.check_health()

    asyncio.run(check())


def test_more_requests_than_a_replica_may_have_are_refused_at_once(replica_of):
    over = threading.Event()

    class Slow(Choosy):
        def tag(self, sentences):
            over.wait(30)
            return super().tag(sentences)

    async def check():
        served = replica_of(Slow(), max_ongoing_requests=2)
        held = [asyncio.ensure_future(anext(served.tag([sentence_of_words("a")]))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="2 requests wait"):
            await anext(served.tag([sentence_of_words("a")]))
        over.set()
        await asyncio.gather(*held)
        await anext(served.tag([sentence_of_words("a")]))

    asyncio.run(check())


def test_one_answer_shows_that_the_model_works(replica_of):
    async def check():
        served = replica_of(Choosy())
        for _ in range(3):
            await ask(served, *["poison"] * (MAX_FAILED_BATCHES - 1), "fine")
            await served.check_health()

    asyncio.run(check())


def test_one_answer_in_a_batch_shows_it_too(replica_of):
    async def check():
        served = replica_of(Choosy(), batch_wait_ms=50)
        for _ in range(MAX_FAILED_BATCHES + 1):
            await asyncio.gather(ask(served, "poison"), ask(served, "fine"))
        await served.check_health()

    asyncio.run(check())


def test_a_replica_whose_model_hangs_is_not_healthy(replica_of):
    over = threading.Event()

    class Stuck(Choosy):
        def tag(self, sentences):
            over.wait(30)
            return super().tag(sentences)

    async def check():
        served = replica_of(Stuck(), batch_timeout_s=0.2)
        await served.check_health()
        asked = asyncio.ensure_future(anext(served.tag([sentence_of_words("a")])))
        until = time.monotonic() + 20
        while time.monotonic() < until:
            await asyncio.sleep(0.05)
            try:
                await served.check_health()
            except RuntimeError as error:
                found = error
                break
        over.set()
        assert "at one batch for more than 0.2 s" in str(found)
        await asked
        await served.check_health()

    asyncio.run(check())
