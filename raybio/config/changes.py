"""What differs between two configs of one job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raybio.config.faults import shown
from raybio.config.section import JobConfig
from raybio.config.writing import resolved


@dataclass(frozen=True, slots=True)
class Change:
    """One option that has another value; `str(change)` is "training.epochs: 3, now 5"."""

    key: str
    before: object
    after: object

    def __str__(self) -> str:
        return f"{self.key}: {shown(self.before)}, now {shown(self.after)}"


def changes(before: JobConfig, after: JobConfig) -> list[Change]:
    """Return the options whose values differ."""
    return changed_options(resolved(before), resolved(after))


def changed_options(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return the options whose values differ in two configs as plain data."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return [Change(key, old.get(key), new.get(key)) for key in {**new, **old} if old.get(key) != new.get(key)]


def _flat(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    """Yield each value with its dotted key; a list is one value."""
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
