"""The model card that training writes, as the Hugging Face hub reads it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from raybio.config import CorpusSection, TrainDecoderConfig, TrainEncoderConfig, TrainingSection, to_yaml
from raybio.evaluation import evaluate
from raybio.evaluation.reliability import reliability_figures
from raybio.model_identity import fingerprint
from raybio.run_folder import RunFolder
from raybio.training.model_card import write_model_card

GOLD = [["B-Chemical", "O"], ["B-Disease", "O"], ["O", "B-Chemical"]]
PREDICTED = [["B-Chemical", "O"], ["B-Disease", "O"], ["B-Disease", "O"]]


def scores() -> dict[str, Any]:
    figures = evaluate(GOLD, PREDICTED, bootstrap=20).to_dict()
    figures["reliability"] = reliability_figures(GOLD, PREDICTED, [[0.9, 0.9]] * 3, [()] * 3)
    return figures


def run_of(folder: Path, model: Path, config: Any, scored: bool = True, **card: object) -> RunFolder:
    """Return a run that trained a model, with scores of dev and test."""
    run = RunFolder.create(folder / "tagger", to_yaml(config))
    shutil.copytree(model, run.model)
    own = run.model / "raybio.json"
    if own.is_file():
        own.write_text(json.dumps({**json.loads(own.read_text()), **card}))
    if scored:
        run.write_json("scores.json", {"dev": scores(), "test": scores()})
    return run


def encoder_config(folder: Path, **changes: object) -> TrainEncoderConfig:
    files = {split: str(folder / "secret" / f"{split}.tsv") for split in ("train", "dev", "test")}
    fields: dict[str, Any] = {"model": "bundled:minilm", "corpus": CorpusSection(**files), **changes}
    return TrainEncoderConfig(job="train-encoder", **fields)


def card_of(run: RunFolder) -> ModelCard:
    write_model_card(run)
    return ModelCard.load(run.model / "README.md")


def test_an_encoders_card_is_one_of_the_hub(tiny_encoder: Path, tmp_path: Path) -> None:
    config = encoder_config(tmp_path, corpus=CorpusSection(name="BC5CDR"))
    run = run_of(tmp_path, tiny_encoder, config, raybio="0.1")
    before = fingerprint(run.model)
    card = card_of(run)
    assert fingerprint(run.model) == before
    data = card.data
    assert (data.pipeline_tag, data.library_name) == ("token-classification", "transformers")
    assert (data.base_model, data.license) == ("sentence-transformers/all-MiniLM-L6-v2", "apache-2.0")
    assert (data.datasets, data.metrics) == (["BC5CDR"], ["precision", "recall", "f1"])
    found = {(one.dataset_split, one.metric_type): one.metric_value for one in data.eval_results}
    assert len(found) == 6 and data.model_name == "tagger"
    strict = scores()["corrected"]["overall"]["strict"]
    assert found["test", "f1"] == pytest.approx(strict["f1"], abs=1e-4) and 0 < strict["f1"] < 1
    assert ("validation", "recall") in found
    assert {one.dataset_type for one in data.eval_results} == {"bc5cdr"}
    for words in (
        "- Chemical\n- Disease",
        'pipeline("token-classification", model="OWNER/NAME", aggregation_strategy="average")',
        'raybio.load("OWNER/NAME")',
        f"| training.learning_rate | {config.training.learning_rate} |",
        f"| test | 66.67 | 66.67 | {100 * strict['f1']:.2f} | ",
        "fine-tuned on BC5CDR with raybio 0.1.",
    ):
        assert words in card.text, words


def test_no_place_of_this_machine_is_in_it(tiny_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    config = encoder_config(tmp_path, model=str(tmp_path / "base"))
    run = run_of(tmp_path, tiny_encoder, config)
    card = card_of(run)
    assert str(tmp_path) not in card.content and "train.tsv" not in card.content
    assert card.data.base_model is None and card.data.license is None
    assert card.data.datasets == ["secret"] and "Trained from base, fine-tuned on secret" in card.text


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("microsoft/deberta-v3-large", "microsoft/deberta-v3-large"),
        ("s3://bucket/model", None),
        ("./mine", None),
        ("a/b/c", None),
        ("bundled:smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"),
    ],
)
def test_a_base_is_named_where_others_find_it(
    model: str, known: str | None, tiny_encoder: Path, tmp_path: Path
) -> None:
    run = run_of(tmp_path, tiny_encoder, encoder_config(tmp_path, model=model))
    assert card_of(run).data.base_model == known


def test_what_was_not_scored_or_read_whole_is_not_said_to_be(tiny_encoder: Path, tmp_path: Path) -> None:
    part = encoder_config(tmp_path, corpus=CorpusSection(name="BC5CDR", max_train_documents=7))
    card = card_of(run_of(tmp_path, tiny_encoder, part, scored=False))
    assert card.data.eval_results is None and card.data.metrics is None and "## Scores" not in card.text
    assert "Only a part of the corpus was read: max_train_documents 7." in card.text
    whole = encoder_config(
        tmp_path,
        corpus=CorpusSection(name="BC5CDR", train_with_dev=True),
        training=TrainingSection(keep_checkpoint="last", early_stopping_patience=0),
    )
    (tmp_path / "b").mkdir()
    text = card_of(run_of(tmp_path / "b", tiny_encoder, whole)).text
    assert "It learned dev too." in text and "Only a part" not in text


def test_a_tag_head_that_reads_both_ways_is_not_offered_to_transformers(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    run = run_of(tmp_path, tiny_encoder, encoder_config(tmp_path), blocks_both_ways=[1])
    card = card_of(run)
    assert "transformers alone would read it from left to right" in card.text
    assert "pipeline(" not in card.text and card.data.pipeline_tag == "token-classification"


def test_an_adapters_card_has_its_prompt(tiny_decoder: Path, tmp_path: Path) -> None:
    config = TrainDecoderConfig(
        job="train-decoder", model="bundled:smollm2", corpus=CorpusSection(name="BC5CDR")
    )
    card = card_of(run_of(tmp_path, tiny_decoder, config))
    assert (card.data.pipeline_tag, card.data.library_name) == ("text-generation", "peft")
    assert card.data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct" and "lora" in card.data.tags
    for words in (
        "LoRA adapter on",
        "| lora.r |",
        "Use only these labels: Chemical, Disease",
        '"text-generation"',
    ):
        assert words in card.text, words


def test_a_masked_language_model_fills_in(minilm: Path, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "adapted", yaml.safe_dump({"model": "bundled:minilm", "seed": 1}))
    run.model.mkdir()
    shutil.copy(minilm / "config.json", run.model)
    card = card_of(run)
    assert (card.data.pipeline_tag, card.data.datasets) == ("fill-mask", None)
    assert "raybio train-encoder CONFIG model=OWNER/NAME" in card.text and "## Labels" not in card.text
