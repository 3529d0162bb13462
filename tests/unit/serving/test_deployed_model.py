"""A model as the interface sees it: what it counts and says where a request has no answer."""

import asyncio
import logging
import time

import pytest
from fake_metrics import FakeMetrics
from ray.exceptions import ActorDiedError
from samples import sentence_of_words
from serving_fakes import NEVER, failed_with, handle_that, tags_of

from raybio.errors import OverloadedError, ServingError
from raybio.serving import client, metrics
from raybio.serving.answers import Answer
from raybio.serving.deployed_model import DeployedModel

SENTENCES = [sentence_of_words("a", "b")]
ANSWER = Answer((tags_of(SENTENCES[0]),), 0.1, 0.2, 1, 1, "r")
DIED = ActorDiedError()


@pytest.fixture
def reported(monkeypatch):
    async def at_once(seconds):
        """No backoff."""

    monkeypatch.setattr(client.asyncio, "sleep", at_once)
    return FakeMetrics(monkeypatch, metrics)


def ask(*outcomes, seconds=30.0):
    model = DeployedModel({"name": "m"}, handle_that(*outcomes), run_id="r1")
    return asyncio.run(asyncio.wait_for(model.tag(SENTENCES), seconds))


def counts_of(reported):
    return {name.removeprefix("raybio_serving_"): count for (name, _), count in (+reported.counts).items()}


def test_retries_of_an_answered_request_are_counted(reported):
    assert ask(DIED, DIED, ANSWER).retries == 2
    assert counts_of(reported) == {"retries": 2}


def test_retries_of_a_request_that_fails_are_counted_too(reported):
    with pytest.raises(ServingError):
        ask(*[DIED] * 4)
    assert counts_of(reported) == {"retries": 3, "failed": 1}


def test_a_refusal_is_counted(reported):
    with pytest.raises(OverloadedError):
        ask(DIED, failed_with(OverloadedError("3 requests wait")))
    assert counts_of(reported) == {"retries": 1, "overloaded": 1}


def test_who_waited_in_vain_is_counted_and_said(reported, caplog):
    with caplog.at_level(logging.ERROR, "ray.serve"), pytest.raises(TimeoutError):
        ask(DIED, NEVER, seconds=0.05)
    assert counts_of(reported) == {"retries": 1, "failed": 1}
    (record,) = caplog.records
    assert (record.run_id, record.model) == ("r1", "m")


def test_after_a_refusal_requests_as_long_are_refused_without_asking_until_there_may_be_room(reported):
    full = failed_with(OverloadedError("too much waits", retry_after=0.1))
    handle = handle_that(full, ANSWER, ANSWER)
    model = DeployedModel({"name": "m"}, handle, run_id="r1")
    short, long = [sentence_of_words("a")], SENTENCES * 3

    async def check():
        for _ in range(3):
            with pytest.raises(OverloadedError, match="too much waits") as caught:
                await model.tag(SENTENCES)
            assert caught.value.retry_after == 0.1
        with pytest.raises(OverloadedError):
            await model.tag(long)
        assert len(handle.asked) == 1
        # One request too long to be answered in time says nothing of shorter ones.
        assert (await model.tag(short)).answer == ANSWER

    asyncio.run(check())
    time.sleep(0.11)
    assert asyncio.run(model.tag(SENTENCES)).answer == ANSWER
    assert counts_of(reported) == {"overloaded": 4}
