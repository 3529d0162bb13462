"""JSON in which no name stands twice in one object: Python would keep the last value and lose the others."""

from __future__ import annotations

import json
from typing import Any


def parsed(text: str | bytes) -> Any:
    """Return the value of a JSON text, which `json.loads` decodes where it is bytes.

    Raises:
        json.JSONDecodeError: it is not JSON.
        ValueError: it cannot be decoded, is too deep, or names something twice in one object.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object names {twice!r} twice")
    return found
