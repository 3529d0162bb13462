"""An encoder that reads on, with the real pretrained model, and what is then fine-tuned from it."""

import json
import re
import shutil
from pathlib import Path

import pytest
from samples import training_config
from transformers import AutoModelForMaskedLM

from raybio.config import AdaptEncoderConfig, load_config
from raybio.corpora.sample import SampleFiles
from raybio.errors import AccessError, TrainingError, UsageError
from raybio.reports import write_report
from raybio.training import parts
from raybio.training.adaptation import AdaptedEncoder, adapt_encoder
from raybio.training.encoder import train_encoder
from raybio.training.trainer import begin_run


def config_of(sample: SampleFiles, output: Path, name: str, **changes: object) -> AdaptEncoderConfig:
    fields: dict[str, object] = {
        "job": "adapt-encoder",
        "model": "bundled:minilm",
        "text": {"files": [str(sample.train), str(sample.dev)], "validation_fraction": 0.1},
        "training": {"epochs": 2, "learning_rate": 2e-4, "batch_size": 8, "precision": "fp32"},
        "workers": {"accelerator": "cpu"},
        "output": str(output),
        "name": name,
    }
    return AdaptEncoderConfig(**{**fields, **changes})


@pytest.fixture(scope="module")
def adapted(sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory) -> AdaptedEncoder:
    folder = tmp_path_factory.mktemp("adapted")
    text = {
        "files": [str(sample.train), str(sample.dev)],
        "decontaminate_against": [str(sample.dev)],
        "validation_fraction": 0.1,
    }
    return adapt_encoder(config_of(sample, folder, "adapted", text=text))


def test_it_learns_to_fill_in_words_and_the_run_folder_holds_everything(adapted: AdaptedEncoder) -> None:
    first, last = adapted.run.metrics()
    assert last["train_loss"] < first["train_loss"]
    assert adapted.held_out_loss == last["held_out_loss"] < first["held_out_loss"] < 10
    assert 0 < adapted.held_out_found == last["held_out_found"] <= 1
    assert isinstance(load_config(adapted.run.path / "config.yaml"), AdaptEncoderConfig)
    assert "of hidden subwords found" in (adapted.run.path / "log.txt").read_text()
    report = write_report([adapted.run.path], adapted.run.path / "report.md").read_text()
    assert "tags nothing yet" in report and "text of 2 files" in report
    assert AutoModelForMaskedLM.from_pretrained(adapted.run.model).config.num_hidden_layers == 6


def test_what_is_to_stay_unseen_was_left_out(adapted: AdaptedEncoder, sample: SampleFiles) -> None:
    left_out = [json.loads(line) for line in (adapted.run.path / "left_out.jsonl").read_text().splitlines()]
    assert str(sample.dev) in {one["file"] for one in left_out}
    assert all(len(one["passage"].split()) == 13 for one in left_out)


@pytest.mark.soak
def test_an_encoder_is_fine_tuned_from_it(
    adapted: AdaptedEncoder, sample: SampleFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(adapted.run.path)  # where no worker stands
    tuned = train_encoder(training_config(sample, tmp_path, "tuned", model="./model", test=False))
    assert tuned.scores["dev"]["corrected"]["overall"]["strict"]["f1"] > 0.2


@pytest.mark.soak
def test_two_workers_read_what_one_does(adapted: AdaptedEncoder, sample: SampleFiles, tmp_path: Path) -> None:
    text = {
        "files": [str(sample.train), str(sample.dev)],
        "decontaminate_against": [str(sample.dev)],
        "validation_fraction": 0.1,
    }
    two = adapt_encoder(
        config_of(sample, tmp_path, "two", text=text, workers={"accelerator": "cpu", "num_workers": 2})
    )
    for a, b in zip(adapted.run.metrics(), two.run.metrics(), strict=True):
        # The arithmetic is the same but for drop-out, which each worker draws for itself.
        for figure in ("train_loss", "held_out_loss"):
            assert a[figure] == pytest.approx(b[figure], rel=0.1)
    assert two.held_out_found == pytest.approx(adapted.held_out_found, abs=0.05)


def test_of_a_large_text_each_of_two_workers_reads_its_own_part(
    tiny_encoder: str, sample: SampleFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_READ_BY_ALL", 100)
    workers = {"accelerator": "cpu", "num_workers": 2}
    training = {"epochs": 2, "learning_rate": 2e-3, "batch_size": 7, "precision": "fp32"}
    adapted = adapt_encoder(
        config_of(sample, tmp_path, "parts", model=tiny_encoder, workers=workers, training=training)
    )
    log = (adapted.run.path / "log.txt").read_text()
    [count] = re.findall(r"train: ([\d,]+) sentences; starting 2 workers, each of which reads its own", log)
    first, last = adapted.run.metrics()
    # Were all rows read by both, an epoch would have twice as many steps; were any dropped, fewer.
    assert first["steps"] == last["steps"] == -(-int(count.replace(",", "")) // 7)
    assert last["train_loss"] < first["train_loss"] and last["held_out_loss"] < first["held_out_loss"]


def test_a_run_is_resumed_after_its_last_epoch(adapted: AdaptedEncoder, tmp_path: Path) -> None:
    copy = shutil.copytree(adapted.run.path, tmp_path / "run")
    options = ["name=run", f"output={tmp_path}", "training.epochs=3", "training.lr_scheduler_type=constant"]
    config = load_config(copy / "config.yaml", options)
    assert isinstance(config, AdaptEncoderConfig)
    with pytest.raises(UsageError, match="resume=true"):
        adapt_encoder(config)
    resumed = config.model_copy(update={"resume": True})
    with pytest.raises(UsageError, match="lr_scheduler_type"):
        adapt_encoder(resumed)
    resumed = load_config(copy / "config.yaml", [*options[:3], "resume=true"])
    assert isinstance(resumed, AdaptEncoderConfig)
    rows = adapt_encoder(resumed).run.metrics()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[2]["train_loss"] < rows[0]["train_loss"]
    assert "resumed after epoch 2" in (copy / "log.txt").read_text()


def test_text_of_which_none_would_be_held_out_is_refused_and_the_run_may_change(
    sample: SampleFiles, tmp_path: Path
) -> None:
    text = {"files": [str(sample.train)], "max_documents": 40, "validation_fraction": 0.001}
    with pytest.raises(TrainingError, match=r"none would be held out, or none trained on\. Give more text"):
        adapt_encoder(config_of(sample, tmp_path, "run", text=text))
    changed = config_of(sample, tmp_path, "run", text={**text, "validation_fraction": 0.4}, resume=True)
    assert begin_run(changed, "adapted").path == tmp_path / "run"


def test_a_file_that_is_not_there_is_reported_before_the_run_begins(
    sample: SampleFiles, tmp_path: Path
) -> None:
    text = {"files": [str(sample.train), str(tmp_path / "typo.tsv")]}
    with pytest.raises(AccessError, match="typo"):
        adapt_encoder(config_of(sample, tmp_path, "run", text=text))
    assert not (tmp_path / "run").exists()
