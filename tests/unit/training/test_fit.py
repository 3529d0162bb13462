"""What is said of a run whose workers failed."""

import pytest

from raybio.training.fit import _cause


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (
            "Training failed due to worker errors:\n[Rank 0 Error Snippet]:\nTraceback:\n"
            "raybio.errors.FormatError: train.tsv, line 2: 'b' is not a word and a tag. Write both\n"
            "To change retry attempts, backoff, or which errors are retried, configure `ray.data`.",
            "raybio.errors.FormatError: train.tsv, line 2: 'b' is not a word and a tag. Write both",
        ),
        ("A worker died unexpectedly\n\n", "A worker died unexpectedly"),
    ],
)
def test_the_cause_is_the_last_line_that_names_an_error(told: str, cause: str) -> None:
    assert _cause(RuntimeError(told)) == cause


def test_a_failure_without_words_is_told_by_its_name() -> None:
    assert _cause(RuntimeError()) == "RuntimeError"
