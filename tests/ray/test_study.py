"""A study that is really run: one run fails, is fixed, and nothing that was done is done again."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from killing import kill_a_run_that_serves
from ray import serve
from studies import study_of, train_file
from tiny_bert import write_tiny_bert
from tiny_llama import write_tiny_llama
from transformers import AutoTokenizer

from raybio.config import StudyConfig
from raybio.corpora.sample import SampleFiles
from raybio.model_sources import model_folder
from raybio.study.engine import run_study
from raybio.study.folder import StudyFolder
from raybio.study.report import write_study_report
from raybio.study.status import study_status

LLAMA = """job: train-decoder
model: {model}
corpus: {{name: sample}}
lora: {{r: 4, alpha: 8}}
training: {{epochs: 1, learning_rate: 1e-3, max_length: 512, max_batch_tokens: 2048, precision: fp32}}
workers: {{accelerator: cpu}}
bootstrap: 0
"""


@pytest.fixture
def served() -> dict[str, Any]:
    """How a model is measured as shortly as that can be done."""
    return {
        "warmup_seconds": 0.1,
        "single_stream": {"requests": 2},
        "server": {"rates": [], "loads": []},
        "paper": {"batch_size": 0},
    }


def corpus_of(sample: SampleFiles) -> dict[str, str]:
    return {"train": str(sample.train), "dev": str(sample.dev), "test": str(sample.test)}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(model_folder("bundled:minilm"))
    return write_tiny_bert(tmp_path / "tiny", tokenizer, ["Chemical"], max_length=64, overlap=16)


def states(study: StudyConfig) -> list[tuple[str, str, str]]:
    return [(run.model, run.kind, run.state) for run in study_status(study).runs]


def test_a_failing_run_is_isolated_and_then_all_is_made_and_measured(
    tiny: Path, sample: SampleFiles, tmp_path: Path, served: dict[str, Any]
) -> None:
    late = tmp_path / "late"
    texts = sample.train.read_text(encoding="utf-8").replace("\t", ":").splitlines()
    files = {"tiny": train_file(tmp_path, "tiny", late), "llama": tmp_path / "llama.yaml"}
    files["llama"].write_text(LLAMA.format(model=write_tiny_llama(tmp_path / "llama", texts)))
    models = [
        {"name": "tiny", "config": str(files["tiny"])},
        {"name": "llama", "config": str(files["llama"]), "modes": ["verified-tags"], "draft": "tiny"},
    ]
    study = study_of(
        tmp_path / "studies",
        files,
        sample,
        corpora=[{**corpus_of(sample), "max_documents": 8}],
        models=models,
        cascades=[{"name": "both", "encoder": "tiny", "decoder": "llama", "budget": 0.5}],
        measure=served,
    )
    said: list[str] = []

    first = run_study(study, said.append)
    assert [name.split("-")[0] for name in first.failed] == ["tiny"]
    (error,) = (tmp_path / "studies/tiny/errors").iterdir()
    assert "no model folder" in error.read_text()
    assert states(study) == [
        ("tiny", "train", "failed"),
        ("tiny", "test", "waiting"),
        ("tiny", "measure", "waiting"),
        ("llama", "train", "done"),
        ("llama", "test", "done"),
        ("llama", "measure", "waiting"),  # for the encoder that it tries first
        ("both", "cascade", "waiting"),
        ("both", "measure", "waiting"),
    ]
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "studies").rglob("log.txt")}
    assert done

    tiny.rename(late)
    second = run_study(study, said.append)
    assert not second.failed and len(second.finished) == 6
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    assert {state for _, _, state in states(study)} == {"done"}
    assert not list((tmp_path / "studies/tiny/errors").iterdir())
    assert any(": epoch 1, dev strict F1 " in line for line in said)

    page = write_study_report(study).read_text()
    assert all(name in page for name in ("llama-verified-tags", "both", "Serving: ", "first 8 documents"))
    learned = {path.parent.name[0]: path.read_text() for path in StudyFolder(study).path.rglob("splits.json")}
    assert set(learned) == {"t", "l", "b"} and all('"train": "train"' in text for text in learned.values())

    third = run_study(study, said.append)
    assert (third.finished, third.failed) == ((), {})


@pytest.mark.soak
def test_a_measurement_that_is_killed_leaves_nothing_in_serve(
    tiny: Path, sample: SampleFiles, tmp_path: Path, served: dict[str, Any]
) -> None:
    files = {"tiny": train_file(tmp_path, "tiny", tiny)}
    corpora = [{**corpus_of(sample), "max_documents": 8}]
    study = study_of(tmp_path / "studies", files, sample, corpora=corpora, measure=served)
    killer = threading.Thread(target=kill_a_run_that_serves)
    killer.start()
    first = run_study(study, print)
    killer.join()
    (reported,) = first.failed.values()
    assert "its process died" in reported and states(study)[-1] == ("tiny", "measure", "failed")
    until = time.monotonic() + 60
    while serve.status().applications and time.monotonic() < until:
        time.sleep(0.5)
    assert not serve.status().applications


@pytest.mark.soak
def test_a_search_that_stops_early_chooses_and_the_chosen_model_is_measured(
    tiny: Path, sample: SampleFiles, tmp_path: Path
) -> None:
    files = {"tiny": train_file(tmp_path, "tiny", tiny)}
    sweep = {"training.learning_rate": [1e-6, 1e-3], "training.batch_size": [8]}
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
            "paper": {"batch_size": 0},
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
