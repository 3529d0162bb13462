"""Plain data -> a typed config, or every fault in our own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from raybio.config.faults import FaultsError, KeyPath, closest, dotted, shown
from raybio.config.options import Option, options, section_at, suggestion
from raybio.config.section import Section
from raybio.safe_text import has_secret

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SomeSection = TypeVar("SomeSection", bound=Section)

_TOLD = (
    "holds a secret, which would be written into run folders and logs; give it in the environment "
    "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, say), or let the machine's role (IAM) do without"
)


def validate(
    config_class: type[SomeSection], data: Mapping[str, object]
) -> tuple[SomeSection | None, list[tuple[KeyPath, str]]]:
    """Return the config and no problems, or None and every problem with the path it is at.

    A secret in a URL is one, since a config is written into run folders and logs.
    """
    secrets = [(path, _TOLD) for path in _with_secret(data)]
    try:
        config = config_class.model_validate(data)
        return (None, secrets) if secrets else (config, [])
    except ValidationError as error:
        known = {option.key: option for option in options(config_class)}
        problems = [found for details in error.errors() for found in _problems(config_class, known, details)]
        return None, secrets + problems


def _with_secret(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield where in nested data the URLs are that hold a secret."""
    if isinstance(value, str) and has_secret(value):
        yield path
    elif isinstance(value, Mapping):
        for key, below in value.items():
            if isinstance(key, str) and has_secret(key):
                yield (*path, key)
            yield from _with_secret(below, (*path, key))
    elif isinstance(value, list | tuple):
        for position, below in enumerate(value):
            yield from _with_secret(below, (*path, position))


def _problems(
    config_class: type[Section], known: Mapping[str, Option], details: ErrorDetails
) -> Iterator[tuple[KeyPath, str]]:
    path = details["loc"]
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, FaultsError):
        yield from (((*path, *below), problem) for below, problem in cause.found)
    elif isinstance(cause, ValidationError):  # of a value that has several forms
        for inner in cause.errors():
            yield from _problems(config_class, known, {**inner, "loc": (*path, *inner["loc"])})
    elif isinstance(cause, ValueError):
        yield path, str(cause)
    elif details["type"] == "extra_forbidden":
        yield path, "unknown key" + suggestion(config_class, path)
    else:
        yield path, _wrong_value(config_class, known, details)


def _wrong_value(config_class: type[Section], known: Mapping[str, Option], details: ErrorDetails) -> str:
    names = [str(part) for part in details["loc"] if not isinstance(part, int)]
    key = re.sub(r"\[\d+\]", "[]", dotted(details["loc"]))
    # What is below an option is an item of the list, or a key of the mapping, that it holds; what an item
    # of a list has in common with a single one stands where that does.
    shorter = (key, key.removesuffix("[]"), key.rpartition(".")[0], key.replace("[]", ""))
    option = next((known[each] for each in shorter if each in known), None)
    if details["type"] == "missing":
        return f"missing; {option.description if option else 'this section is required'}"
    found = f"found {shown(details['input'])}"
    if option is None:
        keys = ", ".join(section_at(config_class, names).model_fields)
        form = "a list of sections" if details["type"] == "tuple_type" else "a section"
        return f"{found}; allowed: {form} with the keys {keys}"
    return f"{found}; allowed: {option.allowed}{_remedy(option, details)}"


def _remedy(option: Option, details: ErrorDetails) -> str:
    value = details["input"]
    if details["type"] == "string_type" and isinstance(value, bool | int | float):
        return "; put it in quotes to make it text"
    match = closest(value, option.choices) if isinstance(value, str) else None
    return f"; did you mean {match!r}?" if match else ""
