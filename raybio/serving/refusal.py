"""A request that is refused: HTTP status, what is wrong, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from fastapi import Response

# Not those of an address, nor what stands between two words.
_FOLDERS = re.compile(r"(?<![\w:/.~-])/(?:[^\s/'\":,;()]+/)+|(?<![\w/])[A-Za-z]:\\(?:[^\s\\]+\\)+")

_MAX_CHARACTERS = 500
"""Of a message: whatever a client sent may stand in it."""


class RequestError(Exception):
    """A request that is answered with an error: HTTP status, what is wrong, what to do, and headers."""

    def __init__(
        self, status: int, message: str, remedy: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.message = message
        self.remedy = remedy
        self.headers = dict(headers or {})
        super().__init__(message)

    def response(self) -> Response:
        """Return the answer: `{"error": {"message": ..., "remedy": ...}}`."""
        error = {"message": shortened(self.message), "remedy": shortened(self.remedy)}
        # Escaped, since what a client sent may stand in the message and be no text that UTF-8 can hold.
        body = json.dumps({"error": error})
        return Response(body, self.status, self.headers, media_type="application/json")


def without_folders(text: str) -> str:
    """Return `text` with the folders left out of each absolute path, which are no client's business."""
    return _FOLDERS.sub("", text)


def shortened(text: str) -> str:
    """Return `text`, or its beginning and "..." where it is too long for a message."""
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}..."
