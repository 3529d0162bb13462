"""Words `key=value` that change a config after its file was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_origin

from raybio.config.faults import Fault, KeyPath, Place
from raybio.config.section import JobConfig
from raybio.config.yaml_text import Parsed, parse, plain_scalar


@dataclass(frozen=True)
class Override:
    """One word: the dotted key, the value it gives, and its place for messages."""

    key: str
    value: object
    place: Place


def split_words(words: Sequence[str]) -> tuple[list[Override], list[Fault]]:
    """Return the overrides in `words`, and the words that are none."""
    overrides: list[Override] = []
    faults: list[Fault] = []
    for position, word in enumerate(words):
        place = Place.override(position, word)
        key, equals, text = word.partition("=")
        if not (key and equals):
            faults.append(Fault(place, "", "not an override; write key=value, such as training.epochs=3"))
            continue
        # Lists, mappings and quoted text are YAML. Any other text is one scalar, so that "*.xml", "a: b" and
        # "a #b" need no quoting beyond the shell's.
        parsed = parse(text) if text[:1] in ("[", "{", '"', "'") else Parsed(plain_scalar(text))
        faults += [replace(fault, place=place, key=key) for fault in parsed.faults]
        if not parsed.faults:
            overrides.append(Override(key, parsed.data, place))
    return overrides, faults


def apply(override: Override, parsed: Parsed, config_class: type[JobConfig]) -> Fault | None:
    """Put `override` where its key says in `parsed`; return a fault where there is no such place."""
    path = _path(config_class, override.key)
    holder: Any = parsed.data
    for depth, name in enumerate(path[:-1]):
        if holder.get(name) is None:
            holder[name] = {}
            parsed.places.setdefault(path[: depth + 1], override.place)
        holder = holder[name]
        if not isinstance(holder, dict):
            return Fault(override.place, override.key, f"{name!r} holds a value here, so it has no keys")
    holder[path[-1]] = override.value
    for stale in [at for at in parsed.places if at[: len(path)] == path]:
        del parsed.places[stale]
    parsed.places[path] = override.place
    return None


def _path(config_class: type[JobConfig], key: str) -> KeyPath:
    """Split `key` at its dots; what follows a mapping ("sweep.training.epochs") is one key of it."""
    first, _, rest = key.partition(".")
    info = config_class.model_fields.get(first)
    is_mapping = info is not None and get_origin(info.annotation) is dict
    return (first, rest) if is_mapping and rest else tuple(key.split("."))
