"""Runs coroutines in a time of their own: nothing waits, and what takes a second takes exactly one."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class _VirtualLoop(asyncio.SelectorEventLoop):
    """Where nothing is ready, its clock moves to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector.select = self._pass  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now

    def _pass(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("every task waits, and no timer runs: this would never end")
        self._now += timeout
        return []


def run_in_virtual_time(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what `work` returns; in it `now()` is the time."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(work)


def now() -> float:
    """Return the running loop's time in seconds."""
    return asyncio.get_running_loop().time()
