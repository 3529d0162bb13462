"""A line of progress, written and read."""

import pytest

from raybio import progress as progress_module
from raybio.progress import Progress, ProgressReports


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("training", "batch", 17, 38), "training: batch 17 of 38"),
        (
            Progress("tagging", "shard", 1200, 30_000, "documents 60,000 (5/s), rejected 0"),
            "tagging: shard 1,200 of 30,000, documents 60,000 (5/s), rejected 0",
        ),
        (Progress("CDR: train.txt.gz", "kB", 0, 1), "CDR: train.txt.gz: kB 0 of 1"),
        (Progress("teachers", "sentence", 1024, None), "teachers: sentence 1,024 so far"),
        (Progress("a", "file", 3, None, "rejected 0"), "a: file 3 so far, rejected 0"),
    ],
)
def test_text_and_back(progress: Progress, line: str) -> None:
    assert str(progress) == line
    assert Progress.read(line) == Progress.read(f"12:30:13 {line}") == progress


@pytest.mark.parametrize(
    "line",
    [
        "",
        "epoch 1: loss 1.3621, dev strict F1 23.21",
        "kept epoch 6",
        "a: batch 1 of",
        "batch 1 of 2",
        "a: line 3",
    ],
)
def test_other_lines_say_nothing_of_it(line: str) -> None:
    assert Progress.read(line) is None


def test_reports_come_at_once_then_by_the_clock_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now, lines = [100.0], list[str]()
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    report = ProgressReports(lines.append, "scoring", "sentence", 900)
    for done, passed in [(0, 0), (300, 4), (400, 2), (600, 4), (900, 0)]:
        now[0] += passed
        report(done)
    assert lines == [f"scoring: sentence {done} of 900" for done in (0, 400, 900)]


def test_what_has_no_known_end_never_completes() -> None:
    assert not Progress("teachers", "sentence", 5, None).complete
    assert Progress("teachers", "sentence", 5, 5).complete
