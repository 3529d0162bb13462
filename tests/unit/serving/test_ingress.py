"""What `raybio serve` says of what listens, or answers, at its address."""

import asyncio
import pickle
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from raybio.config import LimitsSection
from raybio.errors import ServingError, UsageError
from raybio.serving import ingress
from raybio.serving.ingress import Address, ListeningIngress


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


def test_a_port_that_is_taken_is_said_at_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(UsageError, match=f"127.0.0.1:{address.port}: Address already in use"):
            address.check_free()
    address.check_free()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("serve.example.org", "http://serve.example.org:8000"),
    ],
)
def test_an_address_is_one_that_can_be_asked(host, url):
    assert Address(host, 8000).url == url


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
        Address("127.0.0.1", port).check_answer()
    assert "another application answers at 127.0.0.1" in str(raised.value)
    assert "set host and port to that" in str(raised.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_json_is_not_the_interface(body):
    with answering(200, body) as port, pytest.raises(ServingError, match=r"does not answer at 127\.0\.0\.1"):
        Address("127.0.0.1", port).check_answer()


def test_a_model_that_is_not_running_is_named():
    body = b'{"status": "not ready", "models": {"m": "unhealthy"}}'
    with answering(503, body) as port, pytest.raises(ServingError, match="'m': 'unhealthy'"):
        Address("127.0.0.1", port).check_answer()
    with answering(200, b'{"status": "ok", "models": {"m": "running"}}') as port:
        Address("127.0.0.1", port).check_answer()


def test_the_interface_listens_at_its_address_until_it_is_taken_down(monkeypatch):
    monkeypatch.setattr(ingress, "states", lambda names: {})
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = Address("127.0.0.1", free.getsockname()[1])

    async def listen():
        interface = ListeningIngress([], LimitsSection(), "a run", (), pickle.loads(pickle.dumps(address)))
        await asyncio.to_thread(address.check_answer)
        await interface.__del__()

    asyncio.run(listen())
    with pytest.raises(ServingError, match="does not answer"):
        address.check_answer()
