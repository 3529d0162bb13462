"""Stand-ins for Ray's metrics that keep what they are given, as strict as Ray's own."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import pytest

Key = tuple[str, ...]
"""A metric's name and the values of its labels."""


class FakeMetrics:
    """Takes the place of `Counter` and `Histogram` in a module: what they counted and observed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
        self.counts: Counter[Key] = Counter()
        self.observed: defaultdict[Key, list[float]] = defaultdict(list)
        monkeypatch.setattr(module, "Counter", partial(_Counter, self))
        monkeypatch.setattr(module, "Histogram", partial(_Histogram, self))


class _Metric:
    def __init__(self, reported: FakeMetrics, name: str, description: str, tag_keys: Sequence[str]) -> None:
        assert name and description
        self._reported, self._name, self._keys = reported, name, tuple(tag_keys)
        self._default: Mapping[str, str] = {}

    def set_default_tags(self, tags: Mapping[str, str]) -> Any:
        self._default = tags
        return self

    def _key(self, tags: Mapping[str, str] | None) -> Key:
        labels = {**self._default, **(tags or {})}
        assert set(labels) == set(self._keys)
        return (self._name, *(labels[key] for key in self._keys))


class _Counter(_Metric):
    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        assert value > 0
        self._record(value, tags)

    def _record(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        self._reported.counts[self._key(tags)] += value


class _Histogram(_Metric):
    def __init__(
        self,
        reported: FakeMetrics,
        name: str,
        description: str,
        boundaries: Sequence[float],
        tag_keys: Sequence[str],
    ) -> None:
        super().__init__(reported, name, description, tag_keys)
        assert list(boundaries) == sorted(set(boundaries))

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        self._reported.observed[self._key(tags)].append(value)
