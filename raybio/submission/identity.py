"""A job's name on a cluster, made from the job, its resolved config and the code that is sent along.

    tag-corpus-1f0c6a2b9d3e-5ac81f02      the first time
    tag-corpus-1f0c6a2b9d3e-5ac81f02-2    the same again, to resume where that ended

The same job on another day has the same name, so that the cluster itself refuses it twice at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from raybio.config import JobConfig, config_hash

CODE = ("raybio", "jobs")
"""Folders of a checkout whose Python files are the code of a job."""

_DIGITS = 8


def work_name(config: JobConfig) -> str:
    """Return what names the work: the job and its config. To resume it is the same work."""
    return f"{config.job}-{config_hash(config.same_work())}"


def first_id(work: str, checkout: Path) -> str:
    """Return the submission id of the work called `work` with the code of `checkout`, the first time."""
    return f"{work}-{code_version(checkout)}"


def code_version(checkout: Path) -> str:
    """Return hexadecimal digits that change with any Python file of the code, committed or not."""
    digest = hashlib.sha256()
    for file in sorted(file for folder in CODE for file in (checkout / folder).rglob("*.py")):
        digest.update(f"{file.relative_to(checkout).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:_DIGITS]


def next_id(first: str, taken: Iterable[str]) -> str:
    """Return `first`, or where that is taken "FIRST-2", "FIRST-3", ...: one more than the last."""
    again = re.compile(rf"{re.escape(first)}(?:-(\d+))?")
    numbers = [int(match[1] or 1) for name in taken if (match := again.fullmatch(name))]
    return f"{first}-{max(numbers) + 1}" if numbers else first
