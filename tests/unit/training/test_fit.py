"""What is said of a run that cannot start, and of one whose workers failed."""

from pathlib import Path

import pytest

from raybio.config import CorpusSection, TrainEncoderConfig
from raybio.errors import FormatError
from raybio.training.fit import _cause, fine_tune


def test_a_fault_in_any_split_is_told_before_the_run_begins(tmp_path: Path) -> None:
    files = {split: tmp_path / f"{split}.tsv" for split in ("train", "dev", "test")}
    for file in files.values():
        file.write_text("Aspirin\tB-Chemical\n")
    files["test"].write_text("Aspirin\n")
    config = TrainEncoderConfig(
        job="train-encoder",
        model="bundled:minilm",
        corpus=CorpusSection(**{split: str(file) for split, file in files.items()}),
        output=str(tmp_path / "runs"),
        name="mine",
    )

    def never(*_: object) -> None:
        raise AssertionError("nothing is to be started")

    with pytest.raises(FormatError, match=r"test\.tsv, line 1"):
        fine_tune(config, tmp_path, never, never, never)
    assert not (tmp_path / "runs").exists()


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
