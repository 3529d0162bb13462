"""Why a run ended, and which reports of its workers end it at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from ray.exceptions import ActorDiedError

from raybio.errors import ModelError, TrainingError
from raybio.run_folder import RunFolder
from raybio.training.callbacks import SayFailures, StopWhereNothingWouldChange, cause_of


@pytest.mark.parametrize(
    ("reported", "cause"),
    [
        (
            "Training failed due to worker errors:\n[Rank 0 Error Snippet]:\nTraceback:\n"
            "raybio.errors.FormatError: train.tsv, line 2: 'b' is not a word and a tag. Write both\n"
            "To change retry attempts, backoff, or which errors are retried, configure `ray.data`.",
            "raybio.errors.FormatError: train.tsv, line 2: 'b' is not a word and a tag. Write both",
        ),
        (
            "raybio.errors.TrainingError: the teacher a knows Gene\n\nThe above was the direct cause\n"
            "ray.exceptions.UserCodeException: UDF failed to process a data block.",
            "raybio.errors.TrainingError: the teacher a knows Gene",
        ),
        ("A worker died unexpectedly\n\n", "A worker died unexpectedly"),
        (
            "1 worker(s) were killed due to the node running low on memory.\n"
            "Refer to the documentation. Set `RAY_memory_usage_threshold` when starting Ray.",
            "a worker was ended because its machine ran short of memory",
        ),
    ],
)
def test_the_cause_is_the_last_line_that_names_an_error(reported: str, cause: str) -> None:
    assert cause_of(RuntimeError(reported)) == cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("a tensor"), "ValueError: a tensor"),
        (ModelError("no weights"), "raybio.errors.ModelError: no weights"),
        (ActorDiedError(), "The actor died unexpectedly before finishing this task."),
    ],
)
def test_what_a_worker_raised_is_named(error: Exception, cause: str) -> None:
    assert cause_of(error) == cause


def test_a_failure_without_words_is_reported_by_its_name() -> None:
    assert cause_of(RuntimeError()) == "RuntimeError"


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
