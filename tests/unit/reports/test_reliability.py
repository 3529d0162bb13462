"""What a report says of scores: a diagram on the split it is about, and the error of each split."""

import json
from pathlib import Path

from raybio.cli import main
from raybio.evaluation.reliability import reliability_figures
from raybio.reports.blocks import Chart, Table
from raybio.reports.reliability import reliability_blocks
from raybio.reports.sources import read_run

GOLD = [["B-Drug", "O", "B-Pain"], ["O", "B-Drug", "O"]]
PREDICTED = [["B-Drug", "O", "B-Drug"], ["B-Drug", "B-Drug", "O"]]
SCORES = [[0.7, 0.9, 0.4], [0.42, 0.9, 0.9]]


def with_reliability(run: Path, uncalibrated: list[tuple[float, ...]], *splits: str) -> Path:
    scores = json.loads((run / "scores.json").read_text())
    for split in splits:
        scores[split]["reliability"] = reliability_figures(GOLD, PREDICTED, SCORES, uncalibrated)
    (run / "scores.json").write_text(json.dumps(scores))
    return run


def test_before_and_after_stand_on_one_chart(make_run) -> None:
    run = read_run(with_reliability(make_run(), [(0.99, 0.99, 0.9), (0.9, 1.0, 1.0)], "dev", "test"))
    chart, table = reliability_blocks(run)
    assert isinstance(chart, Chart) and isinstance(table, Table)
    assert [(line.name, line.guide) for line in chart.lines] == [
        ("right as often as scored", True),
        ("before calibration", False),
        ("calibrated on dev", False),
    ]
    assert [(round(mark.x, 2), mark.y) for mark in chart.lines[2].marks] == [
        (0.41, 0),
        (0.7, 100),
        (0.9, 100),
    ]
    # (2 * 0.41 + 0.3 + 0.1) / 4, and (2 * 0.9 + 0.01 + 0) / 4 before
    assert table.rows == (("dev", "4", "45.25", "30.50"), ("test", "4", "45.25", "30.50"))


def test_without_calibration_there_is_one_line_and_without_figures_nothing(make_run) -> None:
    plain = make_run()
    assert not list(reliability_blocks(read_run(plain)))
    chart, table = reliability_blocks(read_run(with_reliability(plain, [(), ()], "test")))
    assert isinstance(chart, Chart) and isinstance(table, Table)
    assert [line.name for line in chart.lines] == ["right as often as scored", "scores"]
    assert table.rows == (("test", "4", "–", "30.50"),)


def test_the_page_and_its_markdown_have_the_diagram(make_run, tmp_path: Path) -> None:
    run = with_reliability(make_run(), [(0.99, 0.99, 0.9), (0.9, 1.0, 1.0)], "test")
    for output in (tmp_path / "page.html", tmp_path / "page.md"):
        assert main(["report", str(run), "--output", str(output)]) == 0
        text = output.read_text("utf-8")
        assert "What its scores are worth" in text and "calibrated on dev" in text and "30.50" in text
