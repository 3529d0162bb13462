"""Foreign text made safe to show and to keep: no credentials, no terminal control codes.

Floor 0, below everything: every error of raybio, every line for a terminal and every place that is
written into a file passes through here. What counts as a credential:

- the user part of a URL (`https://TOKEN@host`, `s3://KEY:SECRET@bucket`), but for a bare user name or
  container where a scheme has such (`sftp://me@host`, `abfs://container@account`)
- each query parameter whose name is that of a credential (`?key=`, `&X-Amz-Signature=`), percent-encoded
  or not, in a URL or in the request line that a library shows
- `Authorization: ...`, `Bearer ...`, `AWS_SECRET_ACCESS_KEY=...` in a message
- the value of each environment variable whose name ends as one for a credential does (`safe` alone)
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

STARS = "***"

# The user part of a URL, from behind "://" (a path made of it has ":/") to "@": a name and, after a colon, a
# password with any character but space, "/" and "@" included, since keys of S3 hold them.
_USER = re.compile(
    r"(?<=[A-Za-z0-9+.-]{2})(?P<mark>:/{1,3})(?P<name>[^/?#@:\s'\"<>\[\]]*)(?::(?P<password>(?:(?!://)\S)*))?@"
)
_PORT = re.compile(r"\d{1,5}(?=[/?#])")
_ENCODED_USER = re.compile(r"(?i)(?<=%3a%2f%2f)(?:(?!%2f|%3f|%23|&)\S)+(?=%40)")
_BUCKETS = {"s3", "s3a", "s3n", "gs", "gcs", "oss", "oci"}
_NAMED_USERS = {
    *("abfs", "abfss", "adl", "az", "wasb", "wasbs"),  # a container
    *("hdfs", "viewfs", "webhdfs", "ftp", "sftp", "ssh", "git+ssh", "smb"),
}

_PARAMETER = re.compile(
    r"(?i)(?P<before>[?&;#]|%3f|%26)(?P<name>(?:(?!%3d|%26|%3f)[^=&;#?\s'\"]){1,80})(?P<equals>=|%3d)"
    r"(?P<value>(?:(?!%26|%23|%3f)[^&;#\s'\"<>])*(?!%26|%23|%3f)[^&;#\s'\"<>:,.)])"
)
_CREDENTIAL = re.compile(
    r"(?i)token(?!i[sz])|secret|passw|passphrase|signature|credential|bearer|jwt"
    r"|(?:api|access|auth|account|private|secret|shared|subscription|functions|storage)[-_]?key"
    r"|(?:^|[-_])o?auth(?:$|[-_]|orization)|(?:^|[-_])session(?:[-_]?id)?$|access[-_]?(?:key[-_]?)?id$"
    r"|^(?:key|sig|sas|pass|pwd|pw|hmac)$"
)
_HEADER = re.compile(
    r"(?i)(\bauthorization\b['\"]?\s{0,3}[:=]\s{0,3}['\"]?(?:(?:basic|bearer|token|digest)\s+)?)(?!\*\*\*)[^\s'\",;&]+"
)
_BEARER = re.compile(r"(\b[Bb]earer\s+)[A-Za-z0-9._~+/=-]{12,}")
_ASSIGNMENT = re.compile(
    r"(?i)((?:secret|password|passwd|api[-_]?key|(?:auth|access|session|security|bearer|hf)[-_]token)"
    r"(?:[-_](?:access[-_])?key)?['\"]?\s{0,3}[:=]\s{0,3}['\"]?)(?!\*\*\*)[^\s'\"&,;]{4,}"
)
_SECRET_VARIABLE = re.compile(
    r"(?i)(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY|ACCOUNT_?KEY)$"
)
_SHORTEST_SECRET = 8
_SHORTEST_PIECE = 5

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# C0 but tab and line feed, DEL, C1, what turns the direction of text, lone halves of surrogates.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def has_secret(value: str) -> bool:
    """Say whether a URL in `value` holds a credential."""
    return "://" in value and _without_url_secrets(value) != value


def without_secrets(text: str, beside: str = "") -> str:
    """Return `text` with stars in the place of each credential; the same again where it has stars already.

    Two places that differ in their credentials alone are the same afterwards. What is a credential in a
    URL of `text`, or of `beside`, is one wherever it stands: libraries take a URL apart and show the parts.
    """
    pieces: set[str] = set()
    _without_url_secrets(beside, pieces)
    text = _without_url_secrets(text, pieces)
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, STARS)
    text = _BEARER.sub(rf"\1{STARS}", _HEADER.sub(rf"\1{STARS}", text))
    return _ASSIGNMENT.sub(rf"\1{STARS}", text)


def data_without_secrets(data: Any) -> Any:
    """Return plain data (dicts, lists, text, numbers) with `without_secrets` of all text in it, keys too."""
    if isinstance(data, str):
        return without_secrets(data)
    if isinstance(data, Mapping):
        return {data_without_secrets(key): data_without_secrets(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [data_without_secrets(each) for each in data]
    return data


def for_terminal(text: str) -> str:
    r"""Return `text` without colours, and with other control characters written as `\u001b`.

    Line feeds and tabs stay. The writing is JSON's own, so JSON stays what it was.
    """
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", _COLOUR.sub("", text))


def safe(text: str) -> str:
    """Return `text` as it may be shown and kept, without the values of secret environment variables too."""
    text = without_secrets(text)
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and value in text and _SECRET_VARIABLE.search(name):
            text = text.replace(value, STARS)
    return for_terminal(text)


def _without_url_secrets(text: str, pieces: set[str] | None = None) -> str:
    """Return `text` without the credentials of its URLs, and add those, and parts of them, to `pieces`."""

    def hide(secret: str, parted: str = "") -> str:
        if pieces is not None:
            parts = {secret, *re.split(r"[/@]", parted)}
            pieces.update(each for each in parts | {*map(unquote, parts)} if len(each) >= _SHORTEST_PIECE)
        return STARS

    if ":/" in text:
        text = _USER.sub(lambda found: _user(found, hide), text)
    if "%" in text:
        text = _ENCODED_USER.sub(lambda found: hide(found[0]), text)
    return _PARAMETER.sub(lambda found: _parameter(found, hide), text)


def _user(found: re.Match[str], hide: Callable[..., str]) -> str:
    before = found.string[max(0, found.start() - 20) : found.start()]
    scheme = before[len(before.rstrip(_IN_SCHEME)) :].lower()
    mark, name, password = found["mark"], found["name"], found["password"]
    if password is None:
        public = not name or name == "anonymous" or scheme in _NAMED_USERS
        return found[0] if public else f"{mark}{hide(name)}@"
    if scheme not in _BUCKETS and _PORT.match(password):
        return found[0]  # host:port/..., and an "@" further on
    hide(password, parted=password)  # who reads it as a path shows a part of it
    if scheme in _NAMED_USERS:
        return f"{mark}{name}:{STARS}@"
    return f"{mark}{STARS}@" if password else f"{mark}{hide(name)}@"


_IN_SCHEME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-"


def _parameter(found: re.Match[str], hide: Callable[[str], str]) -> str:
    if not _CREDENTIAL.search(unquote(found["name"])):
        return found[0]
    return f"{found['before']}{found['name']}{found['equals']}{hide(found['value'])}"
