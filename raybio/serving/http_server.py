"""An HTTP server for an ASGI application in a running event loop: uvicorn, and what it leaves to others.

Ray Serve's proxy is a process more that reads each request, and sends it on in several messages: as
much work as the whole interface. Where the interface runs on one machine it listens itself.
"""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_KEEP_ALIVE_SECONDS = 90
"""How long a connection stays open that asks nothing; Ray Serve's proxy has the same."""

_HEADER_SECONDS = 10.0
"""How long the headers of a request may take to arrive."""


class HttpServer:
    """Serves `app` at `host` and `port`, which servers in several processes may share.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=2048, reuse_port=True)
        config = uvicorn.Config(
            CancelsGivenUp(app),
            http=_PromptHeaders,
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="warning",  # where none is set, each message of each request is logged for tracing
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._serving = asyncio.get_running_loop().create_task(self._server.serve([self._socket]))

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return not self._serving.done()

    async def stop(self) -> None:
        """Accept no more connections, and return when the requests in flight are answered."""
        self._server.should_exit = True
        await self._serving
        self._socket.close()


class _PromptHeaders(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # one of two, by what is installed
    """A connection of uvicorn's that is closed where the headers of a request do not arrive in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._expect_headers()
        else:
            self._expect_nothing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_headers(self) -> None:
        if self._late is None:
            self._late = asyncio.get_running_loop().call_later(_HEADER_SECONDS, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class CancelsGivenUp:
    """An ASGI application around `app` that cancels a request when its client has closed the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; watch its connection once all of its body has been read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        read = asyncio.Event()
        gone = asyncio.Event()

        async def watched() -> Message:
            if read.is_set():
                await gone.wait()
                return {"type": "http.disconnect"}
            message = await receive()
            if message["type"] == "http.disconnect":
                gone.set()
            if not message.get("more_body"):
                read.set()
            return message

        async def watch() -> None:
            await read.wait()
            while not gone.is_set():
                if (await receive())["type"] == "http.disconnect":
                    gone.set()
            answering.cancel()

        answering = asyncio.ensure_future(self._app(scope, watched, send))
        watching = asyncio.ensure_future(watch())
        try:
            await answering
        except asyncio.CancelledError:
            if not gone.is_set():
                raise
        finally:
            answering.cancel()
            watching.cancel()
