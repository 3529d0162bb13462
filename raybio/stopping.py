"""Stopping: Ctrl-C or SIGTERM ends a job in order, in time, and with one line that says how to resume.

A signal raises KeyboardInterrupt in the main thread, so that `with` and `finally` put away what is in
hand. Who is not done with that after a few seconds is ended: `ray job stop`, a spot machine that is
taken away and `docker stop` all kill soon after they ask. A thread of its own counts these seconds: the
main thread takes a signal up only when what it called, in C++ say, returns.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from raybio.errors import STOPPED

SECONDS = 2.5
"""From the signal to the end; Ray kills a job 3 seconds after it asked it to stop."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class _Stop:
    """What the process does when it is asked to stop."""

    listening: bool = False
    asked: bool = False
    seconds: float = SECONDS
    ways_on: list[str] = field(default_factory=list)
    before_line: Callable[[], None] = lambda: None

    def line(self) -> str:
        """Return what is said: the outermost hint is that of the command which was given."""
        return f"raybio: stopped. {self.ways_on[0]}" if self.ways_on else "raybio: stopped"


_stop = _Stop()


@contextmanager
def stoppable(before_line: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Stop on Ctrl-C and SIGTERM for the length of a `with` block; the main thread's business alone.

    `before_line` is called, in a signal's handler, before a line says that the process was stopped: it
    sees to it that this line begins where one begins.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    _stop.listening, _stop.before_line = True, before_line
    listen()
    try:
        with _watched():
            yield
    finally:
        _stop.listening = False
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watched() -> Iterator[None]:
    """Count the seconds from the signal itself."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    threading.Thread(target=_watch, args=[reader], daemon=True).start()
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.close()  # and so the thread ends


def _watch(reader: socket.socket) -> None:
    with reader:
        while received := reader.recv(1):
            if received[0] in _SIGNALS:
                _end_in_time()


def listen() -> None:
    """Take the signals back from whoever set handlers of its own; nothing happens outside `stoppable`."""
    if _stop.listening and threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, _on_signal)


@contextmanager
def resume_hint(sentence: str) -> Iterator[None]:
    """Show `sentence`, which says how to resume, to whoever stops what is in the `with` block."""
    _stop.ways_on.append(sentence)
    try:
        yield
    finally:
        _stop.ways_on.remove(sentence)


@contextmanager
def time_to_stop(seconds: float) -> Iterator[None]:
    """Allow what is in the `with` block this long to put away what is in progress, where nobody kills it."""
    before, _stop.seconds = _stop.seconds, seconds
    try:
        yield
    finally:
        _stop.seconds = before


def say_stopped(say: Callable[[str], None]) -> None:
    """Say that the job stopped, unless the signal's handler has said so already, and more."""
    if not _stop.asked:
        say(_stop.line())


def leave() -> None:
    """End the process, if it was asked to stop; nothing happens otherwise.

    What Python itself puts away at its end can take two seconds of a process with Ray and torch, and no
    thread counts them: threads stand still by then.
    """
    if _stop.asked:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
        os._exit(STOPPED)


def _on_signal(number: int, frame: Any) -> None:
    if _stop.asked:  # asked twice: at once, then
        os._exit(STOPPED)
    _stop.asked = True
    # Not by print: the signal may have come in the middle of one. Said first, for whatever comes next.
    _write_line()
    _end_in_time()
    raise KeyboardInterrupt


def _end_in_time() -> None:
    last = threading.Timer(_stop.seconds, _end)
    last.daemon = True
    last.start()


def _end() -> None:
    if not _stop.asked:  # the main thread has not come to it
        _write_line()
    os._exit(STOPPED)


def _write_line() -> None:
    _stop.before_line()
    os.write(2, f"{_stop.line()}\n".encode())
