"""Which hosts a server answers for, and what every answer has."""

import asyncio
import json

import pytest

from raybio.serving.guard import HEADERS, Guard


def ask(*hosts, allowed=(), version="1.1", headers=(), query=b""):
    """Return the status and the whole answer to a request with these Host headers."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": version,
        "headers": [*((b"host", host) for host in hosts), *headers],
        "query_string": query,
    }
    asyncio.run(Guard(app, allowed)(scope, None, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= found.items()
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LocalHost:8000",
        b"localhost.:8000",
        b"a.localhost",
        b"127.0.0.1:8000",
        b"[::1]:8000",
        b"10.1.2.3",
        b"ner.example.org",
        b"NER.example.org.:80",
        b"a.b.lab.org",
    ],
)
def test_known_hosts_are_answered(host):
    assert ask(host, allowed=["NER.example.org", "*.lab.org"])[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:8000",
        b"127.0.0.1.evil.example",
        b"localhost.evil.example",
        b"notlocalhost",
        b"lab.org",
        b"evillab.org",
        b"ner.example.org.evil.example",
        b"\xff\xfe",
        b"0x7f.1",
    ],
)
def test_foreign_hosts_are_refused(host):
    status, answer = ask(host, allowed=["ner.example.org", "*.lab.org"])
    assert (status, "allowed_hosts" in answer["error"]["remedy"]) == (421, True)


@pytest.mark.parametrize("host", [b"", b"localhost/@evil.example", b"user@localhost", b"a b", b"localhost:x"])
def test_a_host_that_is_none_is_refused(host):
    assert ask(host)[0] == 400


def test_there_is_one_host_header():
    assert ask(b"localhost", b"evil.example")[0] == 400
    assert ask()[0] == 400
    assert ask(version="1.0")[0] == 200


def test_any_host_may_be_allowed():
    assert ask(b"evil.example", allowed=["*"])[0] == 200


def test_headers_are_bounded():
    assert ask(b"localhost", headers=[(b"accept", b"a," * 20_000)])[0] == 431
    assert ask(b"localhost", query=b"a" * 40_000)[0] == 431
