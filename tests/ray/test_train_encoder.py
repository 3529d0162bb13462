"""Encoder fine-tuning on Ray Train, with the real pretrained model."""

import json
import re
import shutil
import threading
from pathlib import Path

import pytest
import torch
from killing import kill_a_worker_after_the_first_epoch
from safetensors.torch import load_file
from samples import training_config

from raybio.config import (
    CorpusSection,
    DistillationSection,
    TrainEncoderConfig,
    TrainingSection,
    WorkersSection,
    load_config,
    resolved,
)
from raybio.corpora.bio_tsv import read_tagged_sentences
from raybio.corpora.sample import SampleFiles
from raybio.entities import Sentence
from raybio.errors import TrainingError, UsageError
from raybio.evaluation import evaluate
from raybio.reports import write_report
from raybio.run_folder import RunFolder
from raybio.sentence_stream import read_sentences, read_text
from raybio.taggers import load_tagger
from raybio.training import encoder
from raybio.training.encoder import TrainedEncoder, train_encoder
from raybio.training.soup import make_soup
from raybio.training.sweep import train_sweep
from raybio.training.teachers import taught_rows


def strict_f1(scores: dict) -> float:
    return scores["corrected"]["overall"]["strict"]["f1"]


def test_the_model_learns_and_the_run_folder_holds_everything(trained: TrainedEncoder) -> None:
    run = trained.run
    epochs = run.metrics()
    assert [row["epoch"] for row in epochs] == [1, 2]
    assert epochs[1]["train_loss"] < epochs[0]["train_loss"]
    assert strict_f1(trained.scores["test"]) > 0.3
    assert strict_f1(trained.scores["dev"]) == pytest.approx(max(row["dev_strict_f1"] for row in epochs))
    assert run.read_json("scores.json") == json.loads(json.dumps(trained.scores))
    assert set(run.read_json("environment.json")["packages"]) >= {"raybio", "ray", "torch", "transformers"}
    assert isinstance(load_config(run.path / "config.yaml"), TrainEncoderConfig)
    assert list((run.path / "tensorboard").iterdir())
    log = (run.path / "log.txt").read_text()
    assert "train: 200 sentences; starting 1 worker ...\n" in log and "epoch 2" in log


def test_the_stored_predictions_give_the_stored_scores(trained: TrainedEncoder) -> None:
    sentences = [
        [line.split("\t") for line in block.splitlines()]
        for block in (trained.run.path / "predictions/test.tsv").read_text().strip("\n").split("\n\n")
    ]
    gold = [[row[1] for row in sentence] for sentence in sentences]
    predicted = [[row[2] for row in sentence] for sentence in sentences]
    assert evaluate(gold, predicted).strict_f1 == pytest.approx(strict_f1(trained.scores["test"]))


def test_any_hugging_face_pipeline_loads_the_model(trained: TrainedEncoder) -> None:
    from transformers import pipeline

    tagger = pipeline("token-classification", model=str(trained.run.model), device="cpu")
    assert {token["entity"][:2] for token in tagger("Aspirin reduced arthritis in mice.")} <= {"B-", "I-"}
    card = json.loads((trained.run.model / "raybio.json").read_text())
    assert card["kind"] == "encoder" and card["base_model"] == "bundled:minilm"


def test_its_scores_are_calibrated_and_its_card_is_one_of_the_hub(trained: TrainedEncoder) -> None:
    from huggingface_hub import ModelCard

    card = json.loads((trained.run.model / "raybio.json").read_text())
    assert card["temperature"] != 1.0
    assert f"temperature {card['temperature']:g}" in (trained.run.path / "log.txt").read_text()
    for split in ("dev", "test"):
        found = trained.scores[split]["reliability"]
        assert found["bins"] and found["uncalibrated"]["bins"] != found["bins"]
    page = ModelCard.load(trained.run.model / "README.md")
    values = {(one.dataset_split, one.metric_type): one.metric_value for one in page.data.eval_results or ()}
    assert values["test", "f1"] == pytest.approx(strict_f1(trained.scores["test"]), abs=1e-4)


@pytest.mark.soak
def test_two_workers_learn_what_one_does(
    trained: TrainedEncoder, sample: SampleFiles, tmp_path: Path
) -> None:
    workers = WorkersSection(num_workers=2, accelerator="cpu")
    two = train_encoder(training_config(sample, tmp_path, "two", workers=workers, test=False))
    one = trained.run.metrics()
    # The arithmetic is the same but for drop-out, which each worker draws for itself.
    for a, b in zip(one, two.run.metrics(), strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=0.15)
    assert "test" not in two.scores


def test_why_workers_failed_is_said_as_they_fail_and_once(
    tiny_encoder: str, sample: SampleFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_work", lambda _: int("a tensor"))
    workers = WorkersSection(accelerator="cpu", max_failures=1)
    config = training_config(sample, tmp_path, "fails", model=tiny_encoder, workers=workers)
    cause, said = "ValueError: invalid literal for int() with base 10: 'a tensor'", list[str]()
    with pytest.raises(TrainingError, match=r"training stopped: .*" + re.escape(cause)):
        train_encoder(config, said.append)
    [failure] = [line for line in said if "a worker failed" in line]
    assert failure.endswith(f"a worker failed: {cause}")


@pytest.mark.soak
def test_a_killed_worker_costs_no_more_than_its_epoch(sample: SampleFiles, tmp_path: Path) -> None:
    training = TrainingSection(epochs=3, learning_rate=3e-4, early_stopping_patience=0)
    workers = WorkersSection(num_workers=2, accelerator="cpu")
    config = training_config(sample, tmp_path, "killed", training=training, workers=workers, test=False)
    log = tmp_path / "killed" / "log.txt"
    metrics = tmp_path / "killed" / "metrics.jsonl"
    killed: list[int] = []

    killer = threading.Thread(target=kill_a_worker_after_the_first_epoch, args=(metrics, killed))
    killer.start()
    result = train_encoder(config)
    killer.join()
    assert killed
    assert "resumed after epoch" in log.read_text()
    assert [row["epoch"] for row in result.run.metrics()] == [1, 2, 3]


def test_a_resumed_run_ends_as_if_it_had_not_stopped(
    tiny_encoder: str, sample: SampleFiles, tmp_path: Path
) -> None:
    """With a running average of the weights, on train and dev: that is not scored then."""
    options = {
        "ema_decay": 0.9,
        "layer_decay": 0.8,
        "lr_scheduler_type": "constant",
        "warmup_ratio": 0.0,
        "dropout": 0.0,
        "keep_checkpoint": "last",
        "early_stopping_patience": 0,
    }
    files = {split: str(getattr(sample, split)) for split in ("train", "dev", "test")}
    corpus = CorpusSection(**files, train_with_dev=True)

    def run(name: str, epochs: int, test: bool = False, resume: bool = False) -> TrainedEncoder:
        training = TrainingSection(epochs=epochs, learning_rate=3e-3, batch_size=4, **options)
        changes = {"training": training, "corpus": corpus, "test": test, "resume": resume}
        return train_encoder(training_config(sample, tmp_path, name, model=tiny_encoder, **changes))

    run("interrupted", 1)
    with pytest.raises(UsageError, match="resume=true"):
        run("interrupted", 2)
    resumed, whole = run("interrupted", 2, resume=True), run("whole", 2, test=True)
    assert "resumed after epoch 1" in (tmp_path / "interrupted/log.txt").read_text()
    for one in (resumed, whole):
        assert [(row["epoch"], "dev_strict_f1" in row) for row in one.run.metrics()] == [
            (1, False),
            (2, False),
        ]
    losses = [[row["train_loss"] for row in one.run.metrics()] for one in (resumed, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3) and losses[0][1] < losses[0][0]
    kept = [load_file(one.run.model / "model.safetensors") for one in (resumed, whole)]
    for name, weights in kept[0].items():
        assert torch.allclose(weights, kept[1][name], atol=1e-4), name
    assert (list(resumed.scores), list(whole.scores), whole.best_epoch) == ([], ["test"], 2)
    assert whole.run.read_json("splits.json")["train"] == "train and dev"


def test_the_soup_of_two_runs_is_a_run(trained: TrainedEncoder, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(trained.run.path, again, ignore=shutil.ignore_patterns("ray"))
    soup = make_soup([str(trained.run.path), str(again)], "soup", str(tmp_path))
    assert soup.scores.keys() == {"dev", "test"}
    assert strict_f1(soup.scores["test"]) == pytest.approx(strict_f1(trained.scores["test"]), abs=1e-3)
    assert soup.run.read_json("scores.json") == json.loads(json.dumps(soup.scores))
    assert soup.run.read_json("splits.json") == {"train": "train", "dev": "dev"}
    assert "the mean of 2 models" in (tmp_path / "soup/log.txt").read_text()
    assert "soup" in write_report([soup.run.path], tmp_path / "report.html").read_text()


def test_teachers_teach_gold_and_text_of_their_own(
    trained: TrainedEncoder, sample: SampleFiles, tmp_path: Path
) -> None:
    distillation = DistillationSection(
        teachers=(str(trained.run.model),), text=(str(sample.dump),), max_text_documents=10
    )
    config = training_config(
        sample,
        tmp_path,
        "taught",
        training=TrainingSection(epochs=1, learning_rate=3e-4, batch_size=4),
        # All that there is: neither teachers nor workers may wait for a reader that wants a CPU too.
        workers=WorkersSection(accelerator="cpu", cpus_per_worker=2),
        distillation=distillation,
        test=False,
    )
    taught = train_encoder(config)
    gold = sum(1 for _ in read_sentences(config.corpus, "train"))
    text = sum(1 for _ in read_text(distillation.text, 10))
    assert text > 20
    log = (taught.run.path / "log.txt").read_text()
    assert f"learning from {gold + text:,} sentences that they tagged" in log
    assert taught.run.metrics()[0]["dev_strict_f1"] > 0.1
    labels = load_tagger(trained.run.model).labels
    again = taught_rows([], config.distillation, config.corpus, labels, taught.run, config.workers)
    shares = [sum(word) for table in again.tables() for row in table.to_pylist() for word in row["shares"]]
    assert shares == pytest.approx([1.0] * len(shares))
    assert again.count == gold + text
    assert (taught.run.path / "log.txt").read_text() == log, "nobody was asked again"


def test_a_teacher_of_other_labels_is_refused(
    trained: TrainedEncoder, sample: SampleFiles, tmp_path: Path
) -> None:
    lines = sample.train.read_text(encoding="utf-8").splitlines()
    one_label = tmp_path / "chemicals.tsv"
    one_label.write_text(
        "\n".join(re.sub(r"\t[BI]-(?!Chemical).*", "\tO", line) for line in lines) + "\n", encoding="utf-8"
    )
    corpus = CorpusSection(train=str(one_label), dev=str(one_label), test=str(one_label))
    distillation = DistillationSection(teachers=(str(trained.run.model),))
    config = training_config(sample, tmp_path, "refused", corpus=corpus, distillation=distillation)
    with pytest.raises(TrainingError, match=r"the teacher .* but the training split has Chemical\. Name"):
        train_encoder(config)


def test_a_finished_run_that_is_begun_again_stays_what_it_is(trained: TrainedEncoder, tmp_path: Path) -> None:
    """As a job that is submitted to a cluster a second time."""
    copy = shutil.copytree(trained.run.path, tmp_path / trained.run.path.name)
    config = load_config(copy / "config.yaml", ["resume=if-begun", f"output={tmp_path}"])
    assert isinstance(config, TrainEncoderConfig)
    again = train_encoder(config)
    assert again.run.path == copy
    assert [row["epoch"] for row in again.run.metrics()] == [1, 2]
    assert (again.best_epoch, again.scores) == (trained.best_epoch, trained.scores)


@pytest.mark.soak
def test_a_sweep_touches_test_once(tiny_encoder: str, sample: SampleFiles, tmp_path: Path) -> None:
    one_epoch = TrainingSection(epochs=1, batch_size=4)
    config = TrainEncoderConfig.model_validate(
        {
            **resolved(training_config(sample, tmp_path, "sweep", model=tiny_encoder, training=one_epoch)),
            "sweep": {"training.learning_rate": [1e-6, 3e-3]},
        }
    )
    best = train_sweep(config)
    points = [RunFolder(tmp_path / f"sweep-{number}").read_json("scores.json") for number in (1, 2)]
    assert [set(scores) for scores in points].count({"dev", "test"}) == 1
    other = next(scores for scores in points if set(scores) == {"dev"})
    assert set(best.scores) == {"dev", "test"} == set(best.run.read_json("scores.json"))
    assert strict_f1(best.scores["dev"]) >= strict_f1(other["dev"])


def test_a_split_without_entities_is_refused(sample: SampleFiles, tmp_path: Path) -> None:
    empty = tmp_path / "empty.tsv"
    empty.write_text("nothing\tO\nhere\tO\n\n")
    corpus = {"train": str(empty), "dev": str(sample.dev), "test": str(sample.test)}
    with pytest.raises(TrainingError, match="no entity"):
        train_encoder(training_config(sample, tmp_path, "empty", corpus=CorpusSection(**corpus)))


def test_long_sentences_are_learned_and_tagged_whole(trained: TrainedEncoder, sample: SampleFiles) -> None:
    with sample.test.open("rb") as stream:
        sentences = list(read_tagged_sentences(stream, "test.tsv"))
    words = [word for sentence in sentences for word in sentence.words] * 2
    tagger = load_tagger(trained.run.model)
    starts = tuple(range(0, 100 * len(words), 100))
    (tags,) = tagger.tag([Sentence("long", tuple(words), starts)])
    assert len(tags.tags) == len(words)
    assert tagger.counts["subwords_dropped"] == 0 and tagger.counts["windows"] > 1
