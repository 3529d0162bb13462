"""JSON in which no name stands twice in one object: Python would keep the last value and lose the others."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

from raybio.corpora.limits import PART_BYTES, shown

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


def parsed(text: str | bytes) -> Any:
    """Return the value of a JSON text; bytes are UTF-8.

    Raises:
        json.JSONDecodeError: it is not JSON.
        ValueError: it cannot be decoded, is too deep, names something twice in one object, or holds half a
            surrogate pair.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error
    if _HALF_PAIR.search(text):  # escaped; half of one alone is no text, and no file can hold it
        try:
            from_json(text)
        except ValueError as error:
            raise ValueError(f"a string holds half a surrogate pair ({error})") from error
    return value


def json_size(text: str, max_bytes: int) -> int:
    """Return the size (see `limits`) of a JSON text, or another one on the same side of `max_bytes`."""
    size = len(text) + PART_BYTES * _values(text)
    # A comma inside a string is no value; most records are so small that nobody need know.
    return size if size <= max_bytes else len(text) + PART_BYTES * _values(_STRING.sub("", text))


def _values(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"an object names {shown(twice)} twice")
    return found
