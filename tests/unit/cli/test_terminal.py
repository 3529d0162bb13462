"""What a command prints while it works: to a pipe, and to a terminal (a pseudo-terminal here)."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from raybio.cli.progress_bar import Pace
from raybio.errors import STOPPED

WORK = """
import sys, time
from raybio.cli.terminal import DownloadProgress, close_bar, report, say, show
say("begins")
report("12:30:01 training: batch 1 of 40, epoch 1")
time.sleep(0.3)
report("12:30:02 training: batch 21 of 40, epoch 2")
time.sleep(0.3)
report("12:30:02 epoch 1: loss 0.5")
say("raybio: line 3 of 10")
print("of a library", file=sys.stderr)
report("training: batch 40 of 40")
fetched = DownloadProgress()
fetched("file.gz", 1_500_000, 3_000_000)
time.sleep(0.2)
fetched("file.gz", 3_000_000, 3_000_000)
fetched("other.gz", 1_500_000, None)
time.sleep(0.2)
report("left: shard 1 of 2")
show("a result\\n")
close_bar()
"""
LINES = [
    "begins",
    "12:30:02 epoch 1: loss 0.5",
    "raybio: line 3 of 10",
    "of a library",
    "file.gz: 3.0 MB of 3.0 MB",
]
STOPPED_WORK = """
import sys, time
from raybio import stopping
from raybio.cli import corpus, main
from raybio.cli.terminal import report

def work(options):
    report("training: batch 1 of 40, epoch 1")
    time.sleep(0.3)
    print("ready", flush=True)
    try:
        time.sleep(60)
    finally:
        report("training: batch 2 of 40, epoch 1")
        time.sleep(0.3)
        {at_the_end}

corpus._sample = work
stopping._stop.seconds = {seconds}
sys.exit(main(["corpus", "sample", "x"]))
"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(
    tmp_path: Path, work: str = WORK, signals: tuple[signal.Signals, ...] = (), **environment: str
) -> tuple[str, str, int]:
    """Return what the work prints to stderr, a terminal, and to stdout, a file, and its exit code.

    Once it has printed "ready" it gets the signals.
    """
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", work], env=variables, stdout=subprocess.PIPE, stderr=theirs, text=True
    )
    os.close(theirs)
    if signals:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for number in signals:
        process.send_signal(number)
    printed = b""
    while True:
        try:
            new = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not new:
            break
        printed += new
    os.close(ours)
    result, _ = process.communicate()
    return printed.decode(), result, process.returncode


def lines_of(printed: str) -> list[str]:
    return [line.strip() for line in re.split(r"[\r\n]+", ESCAPES.sub("", printed)) if line.strip()]


def test_a_bar_with_rate_and_time_left_on_a_terminal(tmp_path: Path) -> None:
    printed, result, code = on_a_terminal(tmp_path)
    assert (result, code) == ("a result\n", 0), printed
    shown = lines_of(printed)
    assert [line for line in shown if line in LINES] == LINES
    bars = [line for line in shown if line not in LINES]
    assert all("━" in line for line in bars), bars
    first, last = ([bar for bar in bars if f"batch {done} of 40" in bar][-1] for done in (1, 21))
    assert first.startswith("training") and first.endswith("epoch 1")
    assert re.search(r" \d+(\.\d+)?/s +0:00:\d\d +epoch 2$", last), last
    assert any(bar.startswith("file.gz") and "kB 1,500 of 3,000" in bar for bar in bars)
    assert any(bar.startswith("other.gz") and bar.endswith("kB 1,500") for bar in bars)
    # The cursor is never hidden, since a signal could end the process; and the last bar is gone.
    assert "\x1b[?25l" not in printed
    assert printed.rstrip("\r\n").endswith("\x1b[2K")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("at_the_end", "seconds"), [("pass", 25), ("raise OSError('lost')", 25), ("time.sleep(60)", 0.5)]
)
def test_a_stopped_command_says_so_on_a_line_of_its_own(
    tmp_path: Path, number: signal.Signals, at_the_end: str, seconds: float
) -> None:
    """Stopped in order, with an error on the way out, or ended because it took too long."""
    work = STOPPED_WORK.format(at_the_end=at_the_end, seconds=seconds)
    printed, _, code = on_a_terminal(tmp_path, work, (number,))
    assert code == STOPPED or "lost" in printed, printed
    bar, rest = ESCAPES.sub("", printed).split("raybio: stopped", 1)
    assert re.search(r"batch 1 of 40[^\r\n]*\r?\n$", bar), printed
    # Nothing is drawn below it.
    assert re.match(r"\s*\r?\n", rest) and "━" not in rest, printed
    assert "\x1b[?25l" not in printed


def test_rate_and_time_left_are_means_since_the_first_report() -> None:
    pace = Pace(100, now=1000.0)
    assert pace.rate is None and pace.seconds_left(400, now=1001.0) is None
    pace.report(100, now=1005.0)
    assert pace.rate is None, "nothing was done yet"
    pace.report(150, now=1010.0)
    assert pace.rate == 5.0 and pace.seconds_left(400, now=1010.0) == 50.0
    pace.report(300, now=1020.0)
    assert pace.rate == 10.0
    assert [pace.seconds_left(400, now) for now in (1020.0, 1024.0, 1060.0)] == [10.0, 6.0, 0.0]


def test_plain_lines_on_a_terminal_that_cannot_draw(tmp_path: Path) -> None:
    printed, _, _ = on_a_terminal(tmp_path, TERM="dumb")
    assert "\x1b" not in printed
    assert "training: batch 21 of 40" in printed


def test_plain_lines_in_a_pipe() -> None:
    # FORCE_COLOR makes a terminal of anything for rich.
    environment = {**os.environ, "FORCE_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WORK], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "a result\n"
    assert done.stderr.splitlines() == [
        "begins",
        "12:30:01 training: batch 1 of 40, epoch 1",
        "12:30:02 training: batch 21 of 40, epoch 2",
        "12:30:02 epoch 1: loss 0.5",
        "raybio: line 3 of 10",
        "of a library",
        "training: batch 40 of 40",
        "file.gz: 3.0 MB of 3.0 MB",
        "left: shard 1 of 2",
    ]
