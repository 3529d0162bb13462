"""A model as the interface sees it: what it counts and says where a request has no answer."""

import asyncio
import logging
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ray.exceptions import ActorDiedError
from samples import sentence_of_words
from serving_fakes import NEVER, failed_with, handle_that, tags_of
from told_metrics import ToldMetrics

from raybio.errors import OverloadedError, ServingError
from raybio.serving import client, metrics
from raybio.serving.answers import Answer
from raybio.serving.ingress import DeployedModel, _check_answer

SENTENCES = [sentence_of_words("a", "b")]
ANSWER = Answer((tags_of(SENTENCES[0]),), 0.1, 0.2, 1, 1, "r")
DIED = ActorDiedError()


@pytest.fixture
def told(monkeypatch):
    async def at_once(seconds):
        """No backoff."""

    monkeypatch.setattr(client.asyncio, "sleep", at_once)
    return ToldMetrics(monkeypatch, metrics)


def ask(*outcomes, seconds=30.0):
    model = DeployedModel({"name": "m"}, handle_that(*outcomes), run_id="r1")
    return asyncio.run(asyncio.wait_for(model.tag(SENTENCES), seconds))


def counts_of(told):
    return {name.removeprefix("raybio_serving_"): count for (name, _), count in told.counts.items()}


def test_retries_of_an_answered_request_are_counted(told):
    assert ask(DIED, DIED, ANSWER).retries == 2
    assert counts_of(told) == {"retries": 2}


def test_retries_of_a_request_that_fails_are_counted_too(told):
    with pytest.raises(ServingError):
        ask(*[DIED] * 4)
    assert counts_of(told) == {"retries": 3, "failed": 1}


def test_a_refusal_is_counted(told):
    with pytest.raises(OverloadedError):
        ask(DIED, failed_with(OverloadedError("3 requests wait")))
    assert counts_of(told) == {"retries": 1, "overloaded": 1}


def test_who_waited_in_vain_is_counted_and_said(told, caplog):
    with caplog.at_level(logging.ERROR, "ray.serve"), pytest.raises(TimeoutError):
        ask(DIED, NEVER, seconds=0.05)
    assert counts_of(told) == {"retries": 1, "failed": 1}
    (record,) = caplog.records
    assert (record.run_id, record.model) == ("r1", "m")


@contextmanager
def answering(status, body):
    """A server that answers any GET so; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"status": "UP"}',
        b'"ok"',
        b"[]",
        b"null",
        b"1",
        b'{"status": ["ok"]}',
        b'{"status": "ok", "models": [1]}',
    ],
)
@pytest.mark.parametrize("status", [200, 503])
def test_another_application_on_the_port_is_named_as_one(status, body):
    with answering(status, body) as port, pytest.raises(ServingError) as raised:
        _check_answer("127.0.0.1", port)
    assert "another application answers at 127.0.0.1" in str(raised.value)
    assert "set host and port to that" in str(raised.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_json_is_not_the_interface(body):
    with answering(200, body) as port, pytest.raises(ServingError, match=r"does not answer at 127\.0\.0\.1"):
        _check_answer("127.0.0.1", port)


def test_a_model_that_is_not_running_is_named():
    body = b'{"status": "not ready", "models": {"m": "unhealthy"}}'
    with answering(503, body) as port, pytest.raises(ServingError, match="'m': 'unhealthy'"):
        _check_answer("127.0.0.1", port)
    with answering(200, b'{"status": "ok", "models": {"m": "running"}}') as port:
        _check_answer("127.0.0.1", port)


def test_after_a_refusal_requests_as_long_are_refused_without_asking_until_there_may_be_room(told):
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
    assert counts_of(told) == {"overloaded": 4}
