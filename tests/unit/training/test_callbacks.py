"""Why a run ended, and which reports of its workers end it at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from raybio.errors import TrainingError
from raybio.run_folder import RunFolder
from raybio.training.callbacks import SayFailures, StopWhereNothingWouldChange


def test_a_worker_that_said_why_it_cannot_continue_ends_the_run() -> None:
    callback = StopWhereNothingWouldChange()
    callback.after_exception(None, {0: RuntimeError("ConnectionError: the node is gone")})
    reported = (
        "Traceback:\nraybio.errors.TrainingError: training does not fit in the device's memory. Lower it"
    )
    with pytest.raises(TrainingError, match="does not fit"):
        callback.after_exception(None, {0: RuntimeError("lost"), 1: RuntimeError(reported)})
    with pytest.raises(TrainingError, match="does not fit"):
        callback.after_exception(None, {0: TrainingError("training does not fit")})


def test_why_workers_failed_is_said_each_cause_once(tmp_path: Path) -> None:
    callback = SayFailures(RunFolder(tmp_path))
    tensor, gone = RuntimeError("Traceback:\nValueError: a tensor"), RuntimeError("the node is gone")
    for failed in ({0: tensor, 1: RuntimeError(str(tensor))}, {1: gone}, {0: tensor}):
        callback.after_exception(None, failed)
    said = [line.split(" ", 1)[1] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert said == ["a worker failed: ValueError: a tensor", "a worker failed: the node is gone"]


def test_the_controller_does_not_wait_for_libraries_that_it_has_no_use_for() -> None:
    program = "import sys, raybio.training.callbacks; print({'transformers', 'peft'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
