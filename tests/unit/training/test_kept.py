"""What a run keeps of its epochs."""

from pathlib import Path

from raybio.run_folder import RunFolder
from raybio.training.kept import Kept, best_model, keep_model


def after(*scores: float | None) -> Kept:
    kept = Kept()
    for epoch, score in enumerate(scores, start=1):
        kept = kept.after(epoch, score)
    return kept


def test_the_first_of_equals_is_the_best() -> None:
    assert after(0.5, 0.7, 0.7, 0.6) == Kept(epoch=4, best_epoch=2, best=0.7, worse=2)


def test_an_epoch_without_a_score_is_neither_better_nor_worse() -> None:
    assert after(None, 0.5, None, 0.4, None) == Kept(epoch=5, best_epoch=2, best=0.5, worse=1)
    assert after(None, None) == Kept(epoch=2)


def test_a_score_of_nought_is_a_score() -> None:
    assert after(None, 0.0, 0.0) == Kept(epoch=3, best_epoch=2, best=0.0, worse=1)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert Kept.read(run) == Kept()
    for kept in (after(None), after(0.5, 0.4)):
        kept.write(run)
        assert Kept.read(run) == kept


def test_a_better_model_takes_the_place_of_the_one_before_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(name)
        keep_model(run, tmp_path / name)
    assert [path.name for path in best_model(run).iterdir()] == ["other.txt"]
