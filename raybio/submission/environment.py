"""Environment variables that go along with a job: tokens, proxies, endpoints.

raybio gives their values to the job's processes alone: they are in no name, log line or run folder. Ray keeps
them with the job, where whoever may submit to the cluster can read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from raybio.errors import UsageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HIDDEN = "***"


def chosen(words: Iterable[str], here: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that `words` name, each NAME=VALUE, or NAME for its value `here`.

    Raises:
        UsageError: what stands before "=" is no name, or there is no such variable here.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not _NAME.fullmatch(name):
            raise UsageError("--env takes NAME or NAME=VALUE, and a name is of letters, digits and '_'")
        if not equals and name not in here:
            raise UsageError(
                f"--env names {name}, which is not set here. Export it, or give its value behind '='"
            )
        found[name] = value if equals else here[name]
    return found


def without_values(text: str, environment: Mapping[str, str]) -> str:
    """Return `text` with each of the variables' values hidden."""
    for value in sorted(environment.values(), key=len, reverse=True):
        if value:
            text = text.replace(value, HIDDEN)
    return text
