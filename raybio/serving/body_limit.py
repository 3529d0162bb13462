"""Bounds what reading request bodies costs: bytes, seconds, and how many slow ones a client may have."""

from __future__ import annotations

import asyncio
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raybio.config import LimitsSection
from raybio.serving.refusal import RequestError

_PROMPT_SECONDS = 1.0
"""A body that takes longer to arrive is slow: a connection that is kept open at no cost to its client."""

_MAX_BODIES = 64
"""The bodies being read may have as many bytes together as so many of the largest."""

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")


class BodyLimit:
    """An ASGI application around `app` that passes a request on once its whole body is there.

    Refused are: a body of more than `limits.body_bytes`, however it comes (413); one that is not there
    after `limits.body_timeout_s` (408); a slow one of a client that has `limits.slow_bodies` already (429);
    and any while too many bytes are being read (503). Requests without a body pass at once.
    """

    def __init__(self, app: ASGIApp, limits: LimitsSection) -> None:
        self._app = app
        self._limits = limits
        self._slow: Counter[str] = Counter()
        self._bytes_being_read = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body, or refuse it."""
        if scope["type"] != "http" or scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        body = _Body()
        try:
            self._check_declared(scope)
            await self._read(body, receive, (scope.get("client") or ("",))[0])
        except RequestError as error:
            # What is left of the body is not read, so that the connection is of no more use.
            error.headers["Connection"] = "close"
            await error.response()(scope, receive, send)
            return
        finally:
            self._bytes_being_read -= body.size

        async def replay() -> Message:
            return body.messages.pop(0) if body.messages else await receive()

        await self._app(scope, replay, send)

    async def _read(self, body: _Body, receive: Receive, client: str) -> None:
        seconds = self._limits.body_timeout_s
        prompt = min(_PROMPT_SECONDS, seconds)
        try:
            async with asyncio.timeout(prompt):
                await self._read_on(body, receive)
                return
        except TimeoutError:
            if self._slow[client] >= self._limits.slow_bodies:
                message = f"{self._slow[client]:,} bodies from your address are still on their way"
                raise RequestError(429, message, "Send fewer at a time", {"Retry-After": "1"}) from None
        self._slow[client] += 1
        try:
            async with asyncio.timeout(seconds - prompt):
                await self._read_on(body, receive)
        except TimeoutError:
            message = f"the body did not arrive within {seconds:g} s"
            raise RequestError(408, message, "Send it faster, or in parts") from None
        finally:
            self._slow[client] -= 1
            if not self._slow[client]:
                del self._slow[client]

    async def _read_on(self, body: _Body, receive: Receive) -> None:
        """Read what is left of the body; where this is cancelled, nothing is lost."""
        while not body.is_whole:
            message = await receive()
            body.messages.append(message)
            size = len(message.get("body", b""))
            body.size += size
            self._bytes_being_read += size
            # A client that has left sends no more; the application finds out.
            body.is_whole = not message.get("more_body")
            if body.size > self._limits.body_bytes:
                raise self._too_large()
            if self._bytes_being_read > _MAX_BODIES * self._limits.body_bytes:
                problem = "too many bodies are being read"
                raise RequestError(503, problem, "Come again later", {"Retry-After": "1"})

    def _check_declared(self, scope: Scope) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and (len(declared) > 18 or int(declared) > self._limits.body_bytes):
            raise self._too_large()

    def _too_large(self) -> RequestError:
        message = f"the body has more than {self._limits.body_bytes:,} bytes"
        return RequestError(413, message, "Send it in parts")


class _Body:
    """The part of a body that has arrived."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.size = 0
        self.is_whole = False
