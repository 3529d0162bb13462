"""Records that outlive the raybio that wrote them: JSON objects with a schema version.

The version counts changes after which an older raybio would misread a record; it refuses those. A field
that is only added needs none: whoever does not know it passes over it, and who misses it takes its
default. Records without a version are of the raybio before versions, and have the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from raybio.errors import RaybioError

SCHEMA_VERSION = 2
_KEY = "schema_version"

Record = TypeVar("Record")

_adapter_of: Callable[[Any], TypeAdapter[Any]] = lru_cache(TypeAdapter)


def versioned(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a record's `fields`, with the present schema version."""
    return {_KEY: SCHEMA_VERSION, **fields}


def check_version(held: Any, source: str, fault: Callable[[str], RaybioError], remedy: str) -> dict[str, Any]:
    """Return the fields of a JSON object that `source` holds, without its version.

    `remedy` is what to do about a damaged one, a sentence.

    Raises:
        RaybioError: made by `fault`: it is no object, or of a version that only a later raybio reads.
    """
    if not isinstance(held, dict):
        raise fault(f"{source}: not a JSON object. {remedy}")
    version = held.get(_KEY, 0)
    if type(version) is not int or not 0 <= version <= SCHEMA_VERSION:
        raise fault(
            f"{source}: of schema version {version!r}; this raybio reads up to {SCHEMA_VERSION}. Use the "
            "raybio that wrote it, or a later one"
        )
    return {name: value for name, value in held.items() if name != _KEY}


def read_record(
    record: type[Record], held: Any, source: str, fault: Callable[[str], RaybioError], remedy: str
) -> Record:
    """Return the `record`, a dataclass, of a JSON object that `source` holds.

    Raises:
        RaybioError: made by `fault`, in one line: as `check_version` has it, or the object lacks a field
            without a default, or holds one of another type.
    """
    fields = check_version(held, source, fault, remedy)
    try:
        read: Record = _adapter_of(record).validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place, problem = ".".join(map(str, first["loc"])), first["msg"]
        raise fault(f"{source}: {place}: {problem[:1].lower()}{problem[1:]}. {remedy}") from error
    return read
