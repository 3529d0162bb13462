"""What holds for every request and answer: its host is one of ours, and browsers keep to what is sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raybio.serving.refusal import RequestError

HEADERS = {
    # The page loads nothing from elsewhere, and nobody may frame it.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer: whatever a browser is made to open may be taken for a page."""

_MAX_HEADER_BYTES = 32 * 1024
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/@?#]+)(?::[0-9]{1,5})?")


class Guard:
    """An ASGI application around `app` that refuses foreign hosts and adds `HEADERS` to every answer.

    A page from elsewhere can make its own name lead here (DNS rebinding), and would then read answers as
    its own. Its requests have its name as their host: so a name must be local or among `allowed_hosts`
    ("*.example.org" stands for every name under example.org, "*" for all). An IP address cannot be
    rebound, and is always allowed.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str] = ()) -> None:
        self._app = app
        self._allowed = [_plain(host) for host in allowed_hosts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it; the answer has `HEADERS` in either case."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            self._check(scope)
        except RequestError as error:
            error.headers["Connection"] = "close"
            await error.response()(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> None:
        size = sum(len(name) + len(value) for name, value in scope["headers"]) + len(scope["query_string"])
        if size > _MAX_HEADER_BYTES:
            message = f"headers and query of {size:,} bytes; {_MAX_HEADER_BYTES:,} are allowed"
            raise RequestError(431, message, "Send less of them; text belongs into the body")
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if not hosts and scope.get("http_version") == "1.0":
            return  # no browser
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            raise RequestError(400, "there is not one valid Host header", "Send one, such as localhost")
        host = _plain(found[1])
        if not self._is_allowed(host):
            message = f"this server is not known as {host!r}"
            raise RequestError(421, message, "Use its address, or have its name added to allowed_hosts")

    def _is_allowed(self, host: str) -> bool:
        if host == "localhost" or host.endswith(".localhost") or _is_address(host):
            return True
        return any(
            host == allowed or allowed == "*" or (allowed.startswith("*.") and host.endswith(allowed[1:]))
            for allowed in self._allowed
        )


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
