"""What is said of a run that cannot start."""

from pathlib import Path

import pytest

from raybio.config import CorpusSection, TrainEncoderConfig
from raybio.errors import FormatError
from raybio.training.fit import fine_tune


def test_a_fault_in_any_split_is_reported_before_the_run_begins(tmp_path: Path) -> None:
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
