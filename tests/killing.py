"""Kills processes of a job for real, as a spot machine that is taken away does."""

import signal
import time
from pathlib import Path

import psutil

_MAX_SECONDS = 240


def kill_a_worker_after_the_first_epoch(metrics: Path, killed: list[int]) -> None:
    """Wait until the run's first epoch is in `metrics`, kill a worker, and note its id in `killed`."""
    until = time.monotonic() + _MAX_SECONDS
    # Written by the controller once it has the first epoch's checkpoint.
    while not metrics.exists():
        if time.monotonic() > until:
            return
        time.sleep(0.05)
    children = psutil.Process().children(recursive=True)
    workers = [process for process in children if "ray::RayTrainWorker" in " ".join(process.cmdline())]
    # The newest: workers of earlier tests may still be leaving.
    newest = max(workers, key=psutil.Process.create_time)
    newest.send_signal(signal.SIGKILL)
    killed.append(newest.pid)


def kill_a_run_that_serves() -> None:
    """Kill the process of a study's run as soon as it has a replica in Serve."""
    until = time.monotonic() + _MAX_SECONDS
    while time.monotonic() < until:
        running = {process: _title(process) for process in psutil.Process().children(recursive=True)}
        if any("ray::ServeReplica" in title for title in running.values()):
            next(process for process, title in running.items() if "ray::perform" in title).kill()
            return
        time.sleep(0.1)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return ""
