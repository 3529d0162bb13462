"""A study that is really run: one run fails, is mended, and nothing that was done is done again."""

from pathlib import Path

import pytest
from studies import study_of, train_file
from tiny_bert import write_tiny_bert
from transformers import AutoTokenizer

from raybio.config import StudyConfig
from raybio.corpora.sample import SampleFiles
from raybio.model_sources import model_folder
from raybio.study.engine import run_study
from raybio.study.report import write_study_report
from raybio.study.status import study_status


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(model_folder("bundled:minilm"))
    return write_tiny_bert(tmp_path / "tiny", tokenizer, ["Chemical"], max_tokens=64, overlap=16)


def states(study: StudyConfig) -> list[tuple[str, str, str]]:
    return [(run.model, run.kind, run.state) for run in study_status(study).runs]


def test_a_failing_run_is_isolated_and_a_finished_one_never_repeated(
    tiny: Path, sample: SampleFiles, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    files = {"here": train_file(tmp_path, "here", tiny), "late": train_file(tmp_path, "late", late)}
    sweep = {"sweep": {"training.learning_rate": [1e-5, 1e-3]}}
    models = [
        {"name": "here", "config": str(files["here"]), "options": sweep},
        {"name": "late", "config": str(files["late"])},
    ]
    study = study_of(tmp_path / "studies", files, sample, models=models)
    said: list[str] = []

    first = run_study(study, said.append)
    assert [name.split("-")[0] for name in first.failed] == ["late"]
    (error,) = (tmp_path / "studies/tiny/errors").iterdir()
    assert "no model folder" in error.read_text()
    assert states(study) == [
        ("here", "train", "done"),
        ("here", "train", "done"),
        ("here", "test", "done"),
        ("late", "train", "failed"),
    ]
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "studies").rglob("log.txt")}
    assert len(done) == 2

    tiny.rename(late)
    second = run_study(study, said.append)
    assert not second.failed and len(second.finished) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    assert {state for _, _, state in states(study)} == {"done"}
    assert not list((tmp_path / "studies/tiny/errors").iterdir())
    assert any(": epoch 1, dev strict F1 " in line for line in said)

    page = write_study_report(study).read_text()
    assert "late" in page and "Comparison" not in page

    third = run_study(study, said.append)
    assert (third.finished, third.failed) == ((), {})


@pytest.mark.soak
def test_a_search_that_stops_early_chooses_and_the_chosen_model_is_measured(
    tiny: Path, sample: SampleFiles, tmp_path: Path
) -> None:
    files = {"tiny": train_file(tmp_path, "tiny", tiny)}
    sweep = {"training.learning_rate": [1e-6, 1e-3], "training.batch_sentences": [8]}
    study = study_of(
        tmp_path / "studies",
        files,
        sample,
        options={"sweep": sweep, "training.epochs": 2},
        search={"method": "asha", "grace_epochs": 1, "reduction": 2},
        measure={
            "warmup_seconds": 0.5,
            "single_stream": {"requests": 5},
            "server": {"rates": [], "loads": []},
            "paper": {"batch_sentences": 0},
        },
    )
    outcome = run_study(study, print)
    assert not outcome.failed
    assert [(kind, state) for _, kind, state in states(study)] == [
        ("search", "done"),
        ("test", "done"),
        ("measure", "done"),
    ]
    assert "Serving" in write_study_report(study).read_text()
