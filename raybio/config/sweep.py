"""A sweep: one config that stands for many, one for each combination of the listed values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from raybio.config.faults import FaultsError, KeyPath, dotted, shown
from raybio.config.options import options, suggestion
from raybio.config.section import JobConfig
from raybio.config.validation import validate

MAX_POINTS = 1000
_FIXED = ("job", "sweep", "name", "resume")


class SweepableConfig(JobConfig):
    """A job that may be repeated over a grid of values."""

    sweep: dict[str, Annotated[tuple[Any, ...], Field(strict=False)]] = Field(
        default={}, description="dotted key -> values to try; one run for each combination"
    )

    @field_validator("sweep", mode="before")
    @classmethod
    def _each_value_is_allowed(cls, sweep: object) -> object:
        if not isinstance(sweep, dict):
            return sweep
        found = [fault for key, values in sweep.items() for fault in _key_faults(cls, key, values)]
        if not found and (points := math.prod(map(len, sweep.values()))) > MAX_POINTS:
            found = [((), f"{points:,} combinations; allowed: at most {MAX_POINTS:,}")]
        if found:
            raise FaultsError(found)
        return sweep

    @model_validator(mode="after")
    def _each_combination_is_valid(self) -> Self:
        if found := _point_faults(self):
            raise FaultsError(found)
        return self


SomeConfig = TypeVar("SomeConfig", bound=SweepableConfig)


def sweep_points(config: SomeConfig) -> list[SomeConfig]:
    """Return one config for each combination of `config.sweep`, the last key changing fastest.

    A config without a sweep is its own only point. Points sweep no further; where `config`
    has a name, the points are called NAME-1, NAME-2 and so on.
    """
    points = [type(config).model_validate(data) for _, data in _points(config)]
    return points or [config]


def _points(config: SweepableConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each combination in words ("training.epochs=3") and as the data of its config."""
    if not config.sweep:
        return
    plain = {**config.model_dump(mode="json"), "sweep": {}}
    for number, values in enumerate(itertools.product(*config.sweep.values()), start=1):
        chosen = dict(zip(config.sweep, values, strict=True))
        data = plain if plain.get("name") is None else {**plain, "name": f"{plain['name']}-{number}"}
        for key, value in chosen.items():
            data = replaced(data, key.split("."), value)
        yield ", ".join(f"{key}={shown(value)}" for key, value in chosen.items()), data


def replaced(data: Mapping[str, Any], path: Sequence[str], value: object) -> dict[str, Any]:
    """Return `data` with `value` at `path`, a key in a key; what holds it is made where it is missing."""
    head, *rest = path
    held = data.get(head)
    below = held if isinstance(held, Mapping) else {}
    return {**data, head: replaced(below, rest, value) if rest else value}


def _key_faults(config_class: type[JobConfig], key: str, values: object) -> Iterator[tuple[KeyPath, str]]:
    path = tuple(key.split("."))
    if key in _FIXED:
        yield (key,), "cannot be swept"
    elif any(option.key.startswith(f"{key}.") for option in options(config_class)):
        yield (key,), "names a section; sweep one of its keys"
    elif all(option.key != key for option in options(config_class)):
        yield (key,), "unknown key" + suggestion(config_class, path)
    elif not isinstance(values, list | tuple) or not values:
        yield (key,), f"found {shown(values)}; allowed: a list of the values to try"
    else:
        for position, value in enumerate(values):
            _, problems = validate(config_class, replaced({}, path, value))
            for at, problem in problems:
                if at[: len(path)] == path:
                    yield (key, position), problem


def _point_faults(config: SweepableConfig) -> list[tuple[KeyPath, str]]:
    """Return what is wrong with whole combinations, each problem once, with its first combination."""
    first: dict[str, str] = {}
    for words, data in _points(config):
        _, problems = validate(type(config), data)
        for at, problem in problems:
            first.setdefault(f"{dotted(at)}: {problem}", words)
    return [(("sweep",), f"with {words}: {problem}") for problem, words in first.items()]
