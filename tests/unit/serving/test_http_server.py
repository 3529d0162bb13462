"""The interface's own HTTP server: it answers, drops requests whose client has left, and ends in order."""

import asyncio
import json
import socket

import pytest
from fastapi import FastAPI, Request

from raybio.serving import http_server
from raybio.serving.http_server import HttpServer


class Application:
    """Answers POST with the body's length after `seconds`; keeps the outcomes of its requests."""

    def __init__(self, seconds=0.0):
        self.app = FastAPI()
        self.ended = []

        @self.app.post("/")
        async def answer(request: Request):
            try:
                body = await request.body()
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.ended.append("cancelled")
                raise
            self.ended.append("answered")
            return {"length": len(body)}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


async def send(port, body=b"abc", length=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        % (len(body) if length is None else length)
    )
    writer.write(body)
    await writer.drain()
    return reader, writer


async def answer_of(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split()[1]) for line in head.splitlines() if line.startswith(b"content-length"))
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


def test_it_answers_one_request_after_another_on_a_connection():
    async def check():
        port = free_port()
        server = HttpServer(Application().app, "127.0.0.1", port)
        reader, writer = await send(port)
        assert await answer_of(reader) == (200, {"length": 3})
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        assert await answer_of(reader) == (200, {"length": 200_000})
        assert server.running
        writer.close()
        await server.stop()
        assert not server.running

    asyncio.run(check())


@pytest.mark.parametrize("length", [3, 10])
def test_a_request_whose_client_leaves_is_cancelled(length):
    """Whether its body was all there or not."""

    async def check():
        application, port = Application(seconds=30), free_port()
        server = HttpServer(application.app, "127.0.0.1", port)
        _, writer = await send(port, length=length)
        await asyncio.sleep(0.1)
        assert application.ended == []
        writer.close()
        for _ in range(100):
            await asyncio.sleep(0.02)
            if application.ended:
                break
        assert "answered" not in application.ended
        if length == 3:
            assert application.ended == ["cancelled"]
        await asyncio.wait_for(server.stop(), 10)

    asyncio.run(check())


def test_requests_in_flight_are_answered_before_it_ends():
    async def check():
        application, port = Application(seconds=0.3), free_port()
        server = HttpServer(application.app, "127.0.0.1", port)
        reader, writer = await send(port)
        await asyncio.sleep(0.1)
        stopping = asyncio.ensure_future(server.stop())
        assert await answer_of(reader) == (200, {"length": 3})
        await asyncio.wait_for(stopping, 10)
        assert application.ended == ["answered"]
        with pytest.raises(OSError):
            await send(port)
        writer.close()

    asyncio.run(check())


def test_two_servers_share_a_port_and_another_program_cannot():
    async def check():
        port = free_port()
        servers = [HttpServer(Application().app, "127.0.0.1", port) for _ in range(2)]
        for _ in range(10):
            reader, writer = await send(port)
            assert (await answer_of(reader))[0] == 200
            writer.close()
        with pytest.raises(OSError):
            socket.create_server(("127.0.0.1", port))
        for server in servers:
            await server.stop()

    asyncio.run(check())


@pytest.mark.parametrize("before", [b"", b"POST / HTTP/1.1\r\nHost: x\r\nX-Sl"])
@pytest.mark.parametrize("answered", [0, 1])
def test_a_connection_whose_headers_do_not_arrive_is_closed(before, answered, monkeypatch):
    monkeypatch.setattr(http_server, "_HEADER_SECONDS", 0.2)

    async def check():
        port = free_port()
        server = HttpServer(Application().app, "127.0.0.1", port)
        if answered:
            reader, writer = await send(port)
            assert await answer_of(reader) == (200, {"length": 3})
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(before)
        if before or not answered:
            assert await asyncio.wait_for(reader.read(), 5) == b""
        else:  # between requests a connection may be idle for longer
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(), 0.6)
        writer.close()
        await server.stop()

    asyncio.run(check())


def test_a_request_that_takes_longer_than_headers_may_is_answered(monkeypatch):
    monkeypatch.setattr(http_server, "_HEADER_SECONDS", 0.2)

    async def check():
        port = free_port()
        server = HttpServer(Application(seconds=0.4).app, "127.0.0.1", port)
        reader, writer = await send(port, b"ab", length=4)
        await asyncio.sleep(0.4)
        writer.write(b"cd")
        assert await answer_of(reader) == (200, {"length": 4})
        writer.close()
        await server.stop()

    asyncio.run(check())
