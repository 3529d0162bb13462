"""The most memory that this machine's Ray workers held, sampled from outside while they work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

_EVERY_SECONDS = 0.1
_WORKER = "ray::"


class WorkerMemory:
    """Peaks of the Ray workers below this process, in bytes.

    Counted is what a process holds for itself: neither files that it has mapped, which the system takes
    back where memory is short, nor Ray's shared object store.
    """

    def __init__(self) -> None:
        self._peaks: dict[tuple[int, str], int] = {}

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample for the length of a `with` block."""
        over = threading.Event()
        sampler = threading.Thread(target=self._sample_until, args=(over,), daemon=True)
        sampler.start()
        try:
            yield
        finally:
            over.set()
            sampler.join()

    def peak(self, doing: str) -> int:
        """Return the most that one worker held while its title said that it was `doing` something."""
        return max((size for (_, title), size in self._peaks.items() if doing in title), default=0)

    def _sample_until(self, over: threading.Event) -> None:
        here = psutil.Process()
        while not over.wait(_EVERY_SECONDS):
            for process in here.children(recursive=True):
                self._sample(process)

    def _sample(self, process: psutil.Process) -> None:
        try:
            title = " ".join(process.cmdline())
            if not title.startswith(_WORKER):
                return
            held = process.memory_info()
        except psutil.Error:  # it has ended
            return
        at = (process.pid, title)
        self._peaks[at] = max(self._peaks.get(at, 0), held.rss - held.shared)
