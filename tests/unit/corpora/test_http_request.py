"""A server that answers with whatever bytes it likes: the outcome is a file or one line of error."""

import base64
import hashlib
import socket
import threading

import pytest

from raybio.corpora import download
from raybio.corpora.download import fetch_file, fetch_text
from raybio.errors import FetchError

BODY = b"right content"
RIGHT = {"SHA-256": hashlib.sha256(BODY).hexdigest()}
HEAD = b"HTTP/1.1 200 OK\r\n"
SECRET = "hunter2-x"


class Hostile:
    """Sends `answers[path]` as it stands, whatever is asked; keeps the requests."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (piece := connection.recv(65536)):
                    request += piece
                if not request:
                    continue
                self.asked.append(request.decode("latin-1"))
                path = request.split(b" ")[1].decode("latin-1").partition("?")[0]
                connection.sendall(self.answers.get(path, b"HTTP/1.1 404 Not Found\r\n\r\n"))

    def url(self, path="/file", user=""):
        return f"http://{user}127.0.0.1:{self.port}{path}"

    def close(self):
        self._socket.close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Hostile()
    yield server
    server.close()


def redirect(location: bytes, code=302) -> bytes:
    return b"HTTP/1.1 %d Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (code, location)


def fault(url, tmp_path) -> str:
    """Return the one line that says why `url` cannot be had; nothing wrong is left under the name."""
    with pytest.raises(FetchError) as caught:
        fetch_file(url, tmp_path / "file", RIGHT)
    message = str(caught.value)
    assert "\n" not in message and message.isprintable() and len(message) < 500
    assert not (tmp_path / "file").exists()
    return message


@pytest.mark.parametrize(
    "length",
    [b"abc", b"-1", b"+13", b"1_3", b"13.0", b"0x0d", b"1e3", b"13, 14", b"9" * 30, b"\xd9\xa1", b"\x1b[2J"],
)
def test_a_content_length_that_is_no_number(server, tmp_path, length):
    server.answers["/file"] = HEAD + b"Content-Length: " + length + b"\r\n\r\n" + BODY
    message = fault(server.url(), tmp_path)
    assert "sent the Content-Length" in message and len(server.asked) == 1


def test_two_content_lengths_that_differ(server, tmp_path):
    server.answers["/file"] = HEAD + b"Content-Length: 13\r\nContent-Length: 5\r\n\r\n" + BODY
    assert "Content-Length '13, 5'" in fault(server.url(), tmp_path)


@pytest.mark.parametrize("length", [b"", b"Content-Length: 13\r\n", b"Content-Length: 13\r\n" * 2])
def test_a_content_length_that_is_right_or_missing(server, tmp_path, length):
    server.answers["/file"] = HEAD + length + b"\r\n" + BODY
    assert fetch_file(server.url(), tmp_path / "file", RIGHT).path.read_bytes() == BODY


def test_a_content_length_larger_than_the_body(server, tmp_path):
    server.answers["/file"] = HEAD + b"Content-Length: 99\r\n\r\n" + BODY
    assert "broke off" in fault(server.url(), tmp_path) or "wrong" in fault(server.url(), tmp_path)


def test_a_content_length_smaller_than_the_body(server, tmp_path):
    server.answers["/file"] = HEAD + b"Content-Length: 5\r\n\r\n" + BODY
    assert "wrong content" in fault(server.url(), tmp_path)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (b"file:///etc/passwd", "'file:///etc/passwd', which is no http"),
        (b"ftp://127.0.0.1/file", "'ftp://127.0.0.1/file', which is no http"),
        (b"data:text/plain,right content", "'data:text/plain,right content', which is no http"),
        (b"http://[::1/file", "'http://[::1/file', which is no http"),
        (b"http://127.0.0.1:port/file", "which is no http"),
        (b"http://127.0.0.1:99999/file", "which is no http"),
        (b"javascript:alert(1)", "which is no http"),
        (b"file:///\x1b]0;title\x07\x9b2J", r"'file:///\x1b]0;title\x07\x9b2J', which is no http"),
        (b"x:" + b"a" * 5000, "..."),
        (b"", "redirects (302) to no address"),
        (b"s3://KEY:%s@bucket" % SECRET.encode(), "'s3://***@bucket'"),
    ],
)
def test_a_location_that_leads_nowhere(server, tmp_path, location, shown):
    server.answers["/file"] = redirect(location)
    message = fault(server.url(), tmp_path)
    assert shown in message and SECRET not in message and len(server.asked) == 1


def test_no_location_at_all(server, tmp_path):
    server.answers["/file"] = b"HTTP/1.1 301 Moved\r\n\r\n"
    assert "redirects (301) to no address" in fault(server.url(), tmp_path)


@pytest.mark.parametrize("location", [b"/file", b"/other", b"?a=1"])
def test_a_loop(server, tmp_path, location):
    server.answers |= {"/file": redirect(location), "/other": redirect(b"/file")}
    assert "redirects in a loop" in fault(server.url(), tmp_path)
    assert len(server.asked) == 10


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", [b"/other", b"other", b"//127.0.0.1:%d/other", b"http://127.0.0.1:%d/other"]
)
def test_a_good_redirect(server, tmp_path, code, location):
    location = location % server.port if b"%d" in location else location
    server.answers |= {"/file": redirect(location, code), "/other": HEAD + b"\r\n" + BODY}
    assert fetch_file(server.url(), tmp_path / "file", RIGHT).path.read_bytes() == BODY


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 \x1b[2J\x1b]0;title\x07\r\n\r\n",
        b"HTTP/1.1 503 \x9b2J\xc2\x9b\r\n\r\n",
        b"HTTP/1.1 404 " + b"A" * 60_000 + b"\r\n\r\n",
        b"HTTP/1.1 abc \x1b[2J\r\n\r\n",
        b"\x1b[2J\x1b[31mno HTTP at all\n\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: \x1b[2J\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[2J\r\n",
        b"HTTP/1.1 206 Partial\r\nContent-Range: \x1b[2J\r\n\r\n",
        b"",
    ],
)
def test_control_codes_in_an_answer(server, tmp_path, answer):
    server.answers["/file"] = answer
    fault(server.url(), tmp_path)


def test_control_codes_in_a_text_are_no_text_of_ours(server):
    server.answers["/file"] = HEAD + b"\r\n" + b"x" * 5000
    with pytest.raises(FetchError, match="longer than"):
        fetch_text(server.url())


def authorization(request: str) -> str | None:
    lines = [line for line in request.splitlines() if line.lower().startswith("authorization: ")]
    return base64.b64decode(lines[0].split()[-1]).decode() if lines else None


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        (f"me:{SECRET}@", f"me:{SECRET}"),
        (f"{SECRET}@", f"{SECRET}:"),
        ("me:%40%2F%C3%BC@", "me:@/ü"),
    ],
)
def test_credentials_of_an_address_are_sent_and_not_shown(server, tmp_path, user, sent):
    server.answers |= {"/file": redirect(b"/other"), "/other": HEAD + b"\r\n" + BODY}
    fetched = fetch_file(server.url(user=user), tmp_path / "file", RIGHT)
    assert [authorization(request) for request in server.asked] == [sent, sent]
    assert all(f"Host: 127.0.0.1:{server.port}\r\n" in request for request in server.asked)
    assert fetched.url == f"http://***@127.0.0.1:{server.port}/file"
    server.answers["/file"] = b"HTTP/1.1 403 No\r\n\r\n"
    (tmp_path / "file").unlink()
    assert SECRET not in fault(server.url(user=user), tmp_path)


def test_credentials_go_to_no_other_server(server, tmp_path):
    other = Hostile()
    other.answers["/file"] = HEAD + b"\r\n" + BODY
    server.answers["/file"] = redirect(other.url().encode())
    fetch_file(server.url(user=f"me:{SECRET}@"), tmp_path / "file", RIGHT)
    assert [authorization(request) for request in other.asked] == [None]
    other.close()


def test_credentials_that_a_redirect_brings_are_not_shown(server, tmp_path):
    server.answers["/file"] = redirect(server.url(f"/gone?X-Amz-Signature={SECRET}").encode())
    assert SECRET not in fault(server.url(), tmp_path)
