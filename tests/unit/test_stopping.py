"""Ctrl-C and SIGTERM: in time, in order, with one line; each in a process of its own, and Ray in none."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raybio import stopping
from raybio.errors import STOPPED

START = """
import os, sys, time
from raybio import stopping
from raybio.cli import corpus, main

def work(options):
    with stopping.resume_hint("Run it again"), stopping.resume_hint("Not this one"):
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            {at_the_end}

corpus._sample = work
stopping._stop.seconds = 25  # a busy machine may stand still for longer than the seconds of a real stop
{before}
sys.exit(main(["corpus", "sample", "x"]))
"""


def stopped(
    folder: Path, numbers: list[signal.Signals], at_the_end: str, before: str = "", wait: float = 0.0
) -> tuple[int, str, str]:
    """Run the program, send the signals after a wait, and return its exit code, stdout and stderr."""
    program = START.format(at_the_end=at_the_end, before=before)
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "ready\n"
    time.sleep(wait)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.2)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_in_flight_is_cleaned_up_and_the_resume_hint_is_shown_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    code, out, err = stopped(tmp_path, [number], "print('put away')")
    assert (code, out, err) == (STOPPED, "put away\n", "raybio: stopped. Run it again\n")


def test_what_python_puts_away_at_its_end_takes_no_time(tmp_path: Path) -> None:
    before = "import atexit; atexit.register(time.sleep, 300)"
    code, out, _ = stopped(tmp_path, [signal.SIGTERM], "print('put away')", before)
    assert (code, out) == (STOPPED, "put away\n")


def test_who_does_not_put_away_in_time_is_ended(tmp_path: Path) -> None:
    before = "stopping._stop.seconds = 0.5"
    started = time.monotonic()
    code, out, err = stopped(tmp_path, [signal.SIGTERM], "time.sleep(60)", before)
    assert (code, out, err) == (STOPPED, "", "raybio: stopped. Run it again\n")
    assert time.monotonic() - started < 20


def test_who_does_not_even_hear_the_signal_is_ended_in_time(tmp_path: Path) -> None:
    """The main thread is in C, and stays there."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    deaf = (
        "stopping._stop.seconds = 0.5; import sqlite3; "
        f"time.sleep = lambda _: sqlite3.connect(':memory:').execute({endless!r}).fetchall()"
    )
    started = time.monotonic()
    # By then it is in C, on all but a very busy machine; there it ends as any other.
    code, _, err = stopped(tmp_path, [signal.SIGTERM], "pass", deaf, wait=1.0)
    assert (code, err) == (STOPPED, "raybio: stopped. Run it again\n")
    assert time.monotonic() - started < 20


def test_who_is_asked_twice_ends_at_once(tmp_path: Path) -> None:
    before = "stopping._stop.seconds = 50"
    code, out, err = stopped(tmp_path, [signal.SIGINT, signal.SIGINT], "time.sleep(60)", before)
    assert (code, out, err) == (STOPPED, "", "raybio: stopped. Run it again\n")


def test_signals_are_taken_back_from_who_takes_them(tmp_path: Path) -> None:
    theirs = "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))"
    ours = (
        f"corpus._sample = lambda options, work=work: (exec({theirs!r}), stopping.listen(), work(options))[2]"
    )
    code, _, err = stopped(tmp_path, [signal.SIGTERM], "pass", ours)
    assert (code, err) == (STOPPED, "raybio: stopped. Run it again\n")


def test_handlers_are_as_they_were_after_the_block() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stopping.stoppable():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    stopping.listen()
    assert signal.getsignal(signal.SIGTERM) == before[1]


def test_time_to_stop_is_of_its_block_alone() -> None:
    with stopping.time_to_stop(60):
        assert stopping._stop.seconds == 60
    assert stopping._stop.seconds == stopping.SECONDS < 3
