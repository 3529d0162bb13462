"""Why the cloud refused nodes: what the autoscaler wrote in its log on the head.

Its state, which Ray's own `ray status` shows, counts the launches that failed and leaves out why (ray 2.60).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.state import get_log
from ray.util.state.exception import RayStateApiException
from requests import RequestException

from raybio.safe_text import safe

_LOG = "monitor.log"
_LINES = 400
_ANSWER_SECONDS = 5
_FAILED = re.compile(r"Failed to launch \d+ nodes of type (\S+?): (.*\S)")
_HEAD = "node:__internal_head__"


def refusals() -> dict[str, str]:
    """Return why the last launch of each node type failed; nothing where the head does not say."""
    with suppress(RayError, RayStateApiException, RequestException, ConnectionError):
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        for head in (node["NodeID"] for node in nodes if node["Alive"] and _HEAD in node["Resources"]):
            log = get_log(node_id=head, filename=_LOG, tail=_LINES, timeout=_ANSWER_SECONDS, errors="replace")
            return reasons("".join(log).splitlines())
    return {}


def reasons(lines: Iterable[str]) -> dict[str, str]:
    """Return why the last launch of each node type failed, of the lines of the autoscaler's log."""
    return {found[1]: safe(found[2]) for line in lines if (found := _FAILED.search(line))}
