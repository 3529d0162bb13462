"""A line of progress, written and read."""

import pytest

from raybio.progress import Progress


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("training", "batch", 17, 38), "training: batch 17 of 38"),
        (
            Progress("tagging", "shard", 1200, 30_000, "documents 60,000 (5/s), rejected 0"),
            "tagging: shard 1,200 of 30,000, documents 60,000 (5/s), rejected 0",
        ),
        (Progress("CDR: train.txt.gz", "kB", 0, 1), "CDR: train.txt.gz: kB 0 of 1"),
    ],
)
def test_text_and_back(progress: Progress, line: str) -> None:
    assert str(progress) == line
    assert Progress.read(line) == Progress.read(f"12:30:13 {line}") == progress


@pytest.mark.parametrize(
    "line",
    ["", "epoch 1: loss 1.3621, dev strict F1 23.21", "kept epoch 6", "a: batch 1 of", "batch 1 of 2"],
)
def test_other_lines_say_nothing_of_it(line: str) -> None:
    assert Progress.read(line) is None
