"""What Ray says of failures, in one line: the cause of one, and on a driver's terminal each cause once.

By itself Ray prints for each process, whatever `log_to_driver` says, a paragraph of advice on stdout, where
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

OUT_OF_MEMORY = "a worker was ended because its machine ran short of memory"

_said: set[str] = set()


def cause_of(error: BaseException) -> str:
    """Return what really happened, of a failure that crossed processes: its last line that names an error.

    Ray Data adds advice of its own below it, and that it failed because of it. Where Ray itself ended a
    worker because its machine was short of memory, a page of advice says how to have it not do so.
    """
    if "low on memory" in str(error) or "RAY_memory_usage_threshold" in str(error):
        return OUT_OF_MEMORY
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    theirs = [line for line in named if not line.startswith("ray.exceptions.")]
    if found := theirs or named:
        return found[-1]
    kind = type(error)
    last = lines[-1] if lines else ""
    if last and (kind is RuntimeError or kind.__module__.startswith("ray.")):
        return last
    # What a worker raised comes as it is: its type is not in its text.
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}: {last}" if last else name


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
