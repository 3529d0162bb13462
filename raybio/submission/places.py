"""Which places a config names, and whether a cluster's nodes can find them there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from raybio.config import JobConfig
from raybio.errors import UsageError
from raybio.filesystems import is_url

_FILES = frozenset({"input", "files", "train", "dev", "test", "data", "decontaminate_against"})
_MODELS = frozenset({"model", "draft_model", "teachers"})


def check_places(config: JobConfig) -> list[str]:
    """Refuse paths that only this machine has; return those that must be on storage of all nodes.

    Raises:
        UsageError: a path is relative: on a cluster it would be one in the job's own folder.
    """
    shared = []
    for key, path in _places(config.model_dump()):
        if not _is_path(key.rpartition(".")[2], path):
            continue
        if not path.startswith(("~", "/", "file:///")):
            where = "a URL, or a path" if key != "output" or config.output_may_be_url else "a path"
            raise UsageError(
                f"{key} {path!r} is relative: a cluster lacks your working folder, and what lies in the "
                f"job's own is lost with it. Give {where} that every node sees"
            )
        shared.append(path)
    return list(dict.fromkeys(shared))


def _is_path(name: str, value: str) -> bool:
    """Say whether an option names a file or folder of a disk, and not a URL or a hub id."""
    if is_url(value) and not value.startswith("file://"):
        return False
    if name not in _MODELS:
        return True
    if value.startswith("bundled:"):
        return False
    return value.startswith(("/", ".", "~")) or value.count("/") > 1 or Path(value).is_dir()


def _places(data: Any, key: str = "", name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the options that name files, models and outputs, with their values."""
    if isinstance(data, Mapping):
        for inner, value in data.items():
            yield from _places(value, f"{key}.{inner}" if key else inner, inner)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _places(value, key, name)
    elif isinstance(data, str) and (name in _FILES | _MODELS or key == "output"):
        yield key, data
