"""The options of a config class, read off its fields: for messages and for the docs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from raybio.config.faults import closest, shown
from raybio.config.renamed import name_now
from raybio.config.section import Section

_TYPES = {int: "whole number", float: "number", str: "text", bool: "true or false", Any: "anything"}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


@dataclass(frozen=True)
class Option:
    """One leaf of a config: its dotted key, what it accepts, its default and what it means.

    What is in a list of sections has "[]" in its key: `models[].name`.
    """

    key: str
    allowed: str
    choices: tuple[str, ...]
    default: str
    description: str


def options(config_class: type[Section], prefix: str = "") -> Iterator[Option]:
    """Yield every option of `config_class`, sections unfolded, in the order of its fields."""
    for name, info in config_class.model_fields.items():
        sections = _sections(info.annotation)
        for section, listed in sections:
            # A section that is listed, or stands alone, has the same options in common.
            alone = sections[0][0].model_fields if section is not sections[0][0] else {}
            for option in options(section, f"{prefix}{name}{listed}."):
                if option.key.rpartition(".")[2] not in alone:
                    yield option
        if not sections:
            yield Option(
                key=prefix + name,
                allowed=_allowed(info.annotation, info.metadata),
                choices=tuple(_choices(info.annotation)),
                default=_default(info),
                description=info.description or "",
            )


def section_at(config_class: type[Section], names: Sequence[str | int]) -> type[Section]:
    """Return the class of the section reached by `names`, or the last section on the way."""
    for name in names:
        info = config_class.model_fields.get(str(name))
        sections = _sections(info.annotation) if info else []
        if not sections:
            break
        config_class = sections[-1][0]
    return config_class


def suggestion(config_class: type[Section], names: Sequence[str | int]) -> str:
    """Return "; did you mean ..." for the unknown key `names`, or the keys known in its section.

    A key of another section is suggested by its whole dotted name.
    """
    word = str(names[-1])
    siblings = section_at(config_class, names[:-1]).model_fields
    sections = [name for name in names[:-1] if isinstance(name, str)]
    now = name_now(sections[-1] if sections else "", word)
    if now in siblings:
        return f"; did you mean {now!r}?"
    elsewhere = {option.key.rpartition(".")[2]: option.key for option in options(config_class)}
    match = closest(word, siblings) or elsewhere.get(closest(word, elsewhere) or "")
    return f"; did you mean {match!r}?" if match else f"; known here: {', '.join(siblings)}"


def describe(config_class: type[Section]) -> str:
    """Return all options as a Markdown table: key, allowed values, default, meaning."""
    rows = [
        f"| `{option.key}` | {option.allowed} | {option.default} | {option.description} |"
        for option in options(config_class)
    ]
    return "\n".join(["| option | allowed | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _sections(annotation: Any, listed: str = "") -> list[tuple[type[Section], str]]:
    """Return the sections that `annotation` may be, and "[]" beside those that it may be a list of."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return [found for each in inner for found in _sections(each, listed)]
    if origin is Annotated or origin is tuple:
        return _sections(inner[0], "[]" if origin is tuple else listed)
    is_section = isinstance(annotation, type) and issubclass(annotation, Section)
    return [(annotation, listed)] if is_section else []


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if isinstance(info.default, str):
        return info.default
    # A message cuts a long value; this table is where one looks it up.
    return repr(list(info.default)) if isinstance(info.default, tuple) else shown(info.default)


def _choices(annotation: Any) -> Iterator[str]:
    """Yield the words of every `Literal` inside `annotation`."""
    if get_origin(annotation) is Literal:
        yield from (word for word in get_args(annotation) if isinstance(word, str))
    else:
        for inner in get_args(annotation):
            yield from _choices(inner)


def _allowed(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Return in words what `annotation`, narrowed by `metadata` (pydantic's bounds), accepts."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _allowed(inner[0], [*inner[1:], *metadata])
    if origin in (Union, UnionType):
        null = ["null"] if NoneType in inner else []
        return " or ".join([*null, *(_allowed(each, metadata) for each in inner if each is not NoneType)])
    if origin is Literal:
        words = [each if isinstance(each, str) else shown(each) for each in inner]
        return f"one of {', '.join(words)}" if len(words) > 1 else words[0]
    bounds = dict(_bounds(metadata))
    filled = "non-empty " if bounds.pop("min_length", 0) else ""
    if origin is tuple:
        return f"{filled}list, each item {_allowed(inner[0])}"
    if origin is dict:
        return f"{filled}mapping of names to {_allowed(inner[1])}"
    return ", ".join(
        [filled + _TYPES[annotation], *(f"{_BOUNDS[name]} {bound}" for name, bound in bounds.items())]
    )


def _bounds(metadata: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Yield ("ge", 1) and the like; `Field(...)` inside `Annotated` holds its own metadata."""
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from _bounds(each.metadata)
        for name in (*_BOUNDS, "min_length"):
            if (bound := getattr(each, name, None)) is not None:
                yield name, bound
