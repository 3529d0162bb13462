"""What Ray prints on a driver's terminal of processes that died: each cause once, in one line.

By itself it prints for each process, whatever `log_to_driver` says, a paragraph of advice on stdout, where
results are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import ray._private.worker as ray_worker

_DIED = re.compile(
    r"^A worker died or was killed .*Worker IP address: (?P<host>\S+) .*Worker PID: (?P<pid>\d+) "
    r"Worker exit type: (?P<kind>\w+) Worker exit detail: (?P<why>.*?)\.?(?: Some common causes.*)?$",
    re.DOTALL,
)
# Serve kills its controller at the end, and Ray prints of each call that still waits for it that it is tried
# again, without end.
_ENDED_CONTROLLER = re.compile(
    r"^Task ServeController\.\w+ failed\. .*The actor is dead because it was killed by `ray\.kill`", re.DOTALL
)
_OURS = re.compile(r"^\s*Traceback .*\braybio\.errors\.\w+: (?P<why>[^\n]+)\s*$", re.DOTALL | re.MULTILINE)
_OF_ONE_CASE = re.compile(r"\b[0-9a-f]{16,}\b|\d+")
"""What differs between messages of the same cause: ids, ports, how many retries are left."""

_said: set[str] = set()


def settle_messages() -> None:
    """Have Ray print it so; what was said before, of another job, may be said again."""
    _said.clear()
    if not hasattr(ray_worker.print_to_stdstream, "__wrapped__"):
        ray_worker.print_to_stdstream = _once(ray_worker.print_to_stdstream)


def _once(printed: Callable[..., None]) -> Callable[..., None]:
    """Return `printed`, which gets of messages of Ray's own processes those that say something new."""

    @functools.wraps(printed)
    def print_new(data: dict[str, Any], *args: Any, **options: Any) -> None:
        if data.get("pid") != "raylet":
            printed(data, *args, **options)
        elif lines := [line for line in map(_short, data["lines"]) if _is_new(line)]:
            printed({**data, "lines": lines, "is_err": True}, *args, **options)

    return print_new


def _short(line: str) -> str:
    """Return what is to be said: of a death no advice, of an error of raybio's no traceback."""
    if ours := _OURS.search(line):
        return f"a process failed: {ours['why']}"
    died = _DIED.match(line)
    if died is None:
        return line
    return (
        f"process {died['pid']} died on {died['host']} ({died['kind']}: {died['why']}), as it does where it "
        "crashes or its machine ends it for want of memory; its logs are there. Others like it are not named"
    )


def _is_new(line: str) -> bool:
    cause = _OF_ONE_CASE.sub("#", line)
    if _ENDED_CONTROLLER.match(line) or cause in _said:
        return False
    _said.add(cause)
    return True
