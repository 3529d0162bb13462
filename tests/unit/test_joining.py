"""What a job says before it starts Ray or joins a cluster, and when there is nothing to say."""

import sys
from types import SimpleNamespace

import pytest

from raybio.joining import say_starting


@pytest.mark.parametrize(
    ("address", "ray", "said"),
    [
        (None, None, ["starting Ray ..."]),
        ("", None, ["starting Ray ..."]),
        ("head:6379", None, ["joining the cluster ..."]),
        (None, SimpleNamespace(is_initialized=lambda: False), ["starting Ray ..."]),
        (None, SimpleNamespace(is_initialized=lambda: True), []),
        ("head:6379", SimpleNamespace(is_initialized=lambda: True), []),
    ],
)
def test_what_is_started_is_said_and_what_is_there_is_not(monkeypatch, address, ray, said):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setitem(sys.modules, "ray", ray)
    lines: list[str] = []
    say_starting(lines.append)
    assert lines == said
