"""What a command prints while it works: to a pipe, and to a terminal (a pseudo-terminal here)."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

WORK = """
import sys, time
from raybio.cli.terminal import DownloadProgress, close_bar, report, say, show
say("begins")
report("12:30:01 training: batch 1 of 40, epoch 1")
time.sleep(0.3)
report("12:30:02 training: batch 21 of 40, epoch 2")
time.sleep(0.3)
report("12:30:02 training: batch 31 of 40, epoch 2")
time.sleep(0.3)
report("12:30:02 epoch 1: loss 0.5")
say("raybio: line 3 of 10")
report("training: batch 40 of 40")
fetched = DownloadProgress()
fetched("file.gz", 1_500_000, 3_000_000)
time.sleep(0.2)
fetched("file.gz", 3_000_000, 3_000_000)
report("left: shard 1 of 2")
show("a result\\n")
close_bar()
"""
LINES = ["begins", "12:30:02 epoch 1: loss 0.5", "raybio: line 3 of 10", "file.gz: 3.0 MB of 3.0 MB"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(tmp_path: Path, **environment: str) -> tuple[str, str]:
    """Return what the work prints to stderr, a terminal, and to stdout, a file."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment}
    with (tmp_path / "stdout").open("w+") as stdout:
        process = subprocess.Popen([sys.executable, "-c", WORK], env=variables, stdout=stdout, stderr=theirs)
        os.close(theirs)
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
        assert process.wait() == 0, printed
        stdout.seek(0)
        return printed.decode(), stdout.read()


def test_a_bar_with_rate_and_time_left_on_a_terminal(tmp_path: Path) -> None:
    printed, result = on_a_terminal(tmp_path)
    assert result == "a result\n"
    shown = [line.strip() for line in re.split(r"[\r\n]+", ESCAPES.sub("", printed)) if line.strip()]
    assert [line for line in shown if line in LINES] == LINES
    bars = [line for line in shown if line not in LINES]
    assert all("━" in line for line in bars), bars
    first, last = ([bar for bar in bars if f"batch {done} of 40" in bar][-1] for done in (1, 31))
    assert first.startswith("training") and first.endswith("epoch 1")
    assert re.search(r" \d+(\.\d+)?/s +0:00:\d\d +epoch 2$", last), last
    assert any(bar.startswith("file.gz") and "kB 1,500 of 3,000" in bar for bar in bars)
    # The cursor is never hidden, since a signal could end the process; and the last bar is gone.
    assert "\x1b[?25l" not in printed
    assert printed.rstrip("\r\n").endswith("\x1b[2K")


def test_plain_lines_on_a_terminal_that_cannot_draw(tmp_path: Path) -> None:
    printed, _ = on_a_terminal(tmp_path, TERM="dumb")
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
        "12:30:02 training: batch 31 of 40, epoch 2",
        "12:30:02 epoch 1: loss 0.5",
        "raybio: line 3 of 10",
        "training: batch 40 of 40",
        "file.gz: 3.0 MB of 3.0 MB",
        "left: shard 1 of 2",
    ]
