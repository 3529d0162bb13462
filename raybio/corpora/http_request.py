"""A server asked over HTTP for a file, from some byte on; it may be hostile.

Whatever it sends, the outcome is an answer or one line of error. The user and password of an address
(`https://USER:PASSWORD@mirror`) are sent to that server and no other, and stand in no message.
"""

from __future__ import annotations

import base64
import http.client
import re
import string
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from typing import IO
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from raybio.errors import FetchError, UsageError

TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as dropped."""

_RETRIED = {408, 429, 500, 502, 503, 504}
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 10
_MAX_QUOTED = 100
_PORTS = {"http": 80, "https": 443}


class DroppedError(Exception):
    """The server failed, or the connection did, in a way that another try may cure."""


class NothingLeftError(Exception):
    """The server has no byte from the asked-for start on."""


def open_address(url: str, start: int = 0) -> http.client.HTTPResponse:
    """Ask for `url` from byte `start` on, and go where the server redirects to.

    Raises:
        NothingLeftError: the file ends before `start`.
        DroppedError: the server cannot be reached, or cannot answer now.
        FetchError: the server does not have the file, or does not give it.
        UsageError: `url` is no http or https address.
    """
    if not _is_http(url):
        raise UsageError(f"{url}: only http and https addresses can be fetched")
    opener = urllib.request.build_opener(_NoRedirects)
    here = url
    for _ in range(_MAX_REDIRECTS):
        request = _request(here, {"Range": f"bytes={start}-"} if start else {})
        try:
            with drops_reported():
                response: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT)
                return response
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise NothingLeftError from error
            if error.code in _REDIRECTS:
                here = _redirected(url, here, error)
                continue
            answer = f"the server answered {error.code} {_cut(str(error.reason))}"
            if error.code in _RETRIED:
                raise DroppedError(answer) from error
            raise FetchError(f"{url}: {answer}. Check that the file is there, or name a mirror") from error
    raise FetchError(f"{url}: the server redirects in a loop ({_MAX_REDIRECTS} times). Name a mirror")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to `open_address`: urllib would follow one to ftp, and has messages of two lines."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message
    ) -> None:
        """Do nothing, so that the answer becomes an HTTPError."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not fit, a port that is no number
        return False


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """Return a request for `url`, whose user and password become a header: urllib knows no such address."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(  # noqa: S310 (scheme checked by _is_http)
        urlunsplit(parts._replace(netloc=place, fragment="")), headers={"User-Agent": "raybio", **headers}
    )
    if at:
        name, _, password = user.partition(":")
        basic = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    return request


def _redirected(url: str, here: str, error: urllib.error.HTTPError) -> str:
    """Return the address that the answer to `here` redirects to; only the same server gets the credentials.

    Raises:
        FetchError: it redirects to no http or https address.
    """
    location = error.headers.get("Location", "")
    # Bytes beyond ASCII reach us as Latin-1, and go back as such.
    escaped = quote(location, safe=string.punctuation, encoding="latin-1", errors="replace")
    with suppress(ValueError):
        there = urljoin(here, escaped)
        if location and _is_http(there):
            return _with_credentials_of(here, there)
    target = f"to {quoted(location)}, which is no http or https address" if location else "to no address"
    raise FetchError(f"{url}: the server redirects ({error.code}) {target}. Name a mirror") from error


def _with_credentials_of(here: str, there: str) -> str:
    ours, theirs = urlsplit(here), urlsplit(there)
    user, at, _ = ours.netloc.rpartition("@")
    if "@" in theirs.netloc or not at or _server(here) != _server(there):
        return there
    return urlunsplit(theirs._replace(netloc=f"{user}@{theirs.netloc}"))


def _server(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def quoted(text: str) -> str:
    """Return what a server sent as a message shows it: in quotes, control characters escaped, cut."""
    return repr(_cut(text))


def _cut(text: str) -> str:
    """Return what a server sent as one line that is not too long."""
    text = " ".join(text.split())
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}..."


def length_of(url: str, response: http.client.HTTPResponse) -> int | None:
    """Return how many bytes the server says it sends, or None where it says nothing.

    Raises:
        FetchError: what it says is no number of bytes.
    """
    said = response.headers.get_all("Content-Length", [])
    if not said or "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    if len(set(said)) > 1 or not re.fullmatch(r"[0-9]{1,18}", said[0]):
        raise FetchError(
            f"{url}: the server sent the Content-Length {quoted(', '.join(said))}, which is no number of "
            "bytes. Name a mirror, or check what stands between you and the server"
        )
    return int(said[0])


@contextmanager
def drops_reported() -> Iterator[None]:
    """Turn a broken connection into `DroppedError`; let a server's answer pass."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        raise DroppedError(_cut(str(error.reason))) from error
    except (OSError, http.client.HTTPException) as error:
        raise DroppedError(_cut(str(error)) or type(error).__name__) from error
