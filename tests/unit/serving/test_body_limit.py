"""What reading bodies may cost: no number of slow ones keeps anyone else from an answer."""

import asyncio
import json

import pytest

from raybio.config import LimitsSection
from raybio.serving import body_limit
from raybio.serving.body_limit import BodyLimit


async def app(scope, receive, send):
    """Answer with the length of the body."""
    size = 0
    if scope["method"] == "POST":
        more = True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def ask(limited, *pieces, method="POST", client="1.1.1.1", headers=(), ends=True):
    """Send `pieces`, and the body's end if it `ends`; return the status and the answer."""
    left = list(pieces)
    answer = []

    async def receive():
        if not left and not ends:
            await asyncio.Event().wait()
        body = left.pop(0) if left else b""
        return {"type": "http.request", "body": body, "more_body": bool(left) or not ends}

    async def send(message):
        await asyncio.sleep(0)
        answer.append(message)

    scope = {"type": "http", "method": method, "client": (client, 1), "headers": list(headers)}
    await limited(scope, receive, send)
    return answer[0]["status"], answer[1]["body"]


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    monkeypatch.setattr(body_limit, "_PROMPT_SECONDS", 0.05)


def limited_by(**limits):
    return BodyLimit(app, LimitsSection(**limits))


def test_a_body_in_pieces_arrives_whole():
    assert asyncio.run(ask(limited_by(), b"ab", b"c")) == (200, b"3")
    assert asyncio.run(ask(limited_by())) == (200, b"0")


def test_a_body_that_does_not_arrive_in_time_is_refused():
    status, answer = asyncio.run(ask(limited_by(body_timeout_s=0.1), b"{", ends=False))
    assert (status, json.loads(answer)["error"]["message"]) == (408, "the body did not arrive within 0.1 s")


@pytest.mark.parametrize("piece", [(), (b"{",)])
def test_slow_bodies_of_one_client_are_few_and_nobody_else_waits(piece):
    async def drive():
        limited = limited_by(body_timeout_s=0.5, slow_bodies=4)
        slow = [asyncio.create_task(ask(limited, *piece, ends=False)) for _ in range(1010)]
        await asyncio.sleep(0.1)
        assert await ask(limited, method="GET", ends=False) == (200, b"0")
        assert await ask(limited, b"abc") == (200, b"3"), "a prompt body of the same client"
        other = await ask(limited, b"a", ends=False, client="2.2.2.2")
        return [status for status, _ in await asyncio.gather(*slow)], other[0], limited

    statuses, other, limited = asyncio.run(drive())
    assert (statuses.count(429), statuses.count(408), other) == (1006, 4, 408)
    assert not limited._slow and not limited._bytes_being_read, "nothing is remembered of who has left"


def test_bodies_being_read_are_bounded_together(monkeypatch):
    monkeypatch.setattr(body_limit, "_MAX_BODIES", 2)

    async def drive():
        limited = limited_by(body_bytes=100, body_timeout_s=0.2)
        clients = [ask(limited, b"x" * 90, ends=False, client=str(number)) for number in range(4)]
        return [status for status, _ in await asyncio.gather(*clients)]

    assert sorted(asyncio.run(drive())) == [408, 408, 503, 503]


@pytest.mark.parametrize("length", [b"101", b"9" * 5000])
def test_a_body_that_is_declared_too_large_is_not_read(length):
    limited = limited_by(body_bytes=100)
    declared = [(b"content-length", length)]
    assert asyncio.run(ask(limited, ends=False, headers=declared))[0] == 413


def test_a_client_that_leaves_is_passed_on():
    seen = []

    async def application(scope, receive, send):
        seen.extend([await receive(), await receive()])

    async def receive():
        return next(messages)

    messages = iter([{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}])
    limited = BodyLimit(application, LimitsSection())
    asyncio.run(limited({"type": "http", "method": "POST", "headers": []}, receive, None))
    assert [message["type"] for message in seen] == ["http.request", "http.disconnect"]
