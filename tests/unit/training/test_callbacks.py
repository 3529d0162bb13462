"""Why a run ended, and which reports of its workers end it at once."""

import subprocess
import sys

import pytest

from raybio.errors import TrainingError
from raybio.training.callbacks import StopWhereNothingWouldChange, cause_of


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


def test_the_controller_does_not_wait_for_libraries_that_it_has_no_use_for() -> None:
    program = "import sys, raybio.training.callbacks; print({'transformers', 'peft'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
