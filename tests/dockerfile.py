"""Reads a Dockerfile's instructions."""

from collections.abc import Iterator
from pathlib import Path


def instructions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each instruction's word and the rest of it, continuation lines joined."""
    text = path.read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, rest = line.split(maxsplit=1)
            yield word, " ".join(rest.split())
