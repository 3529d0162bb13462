"""QLoRA under DeepSpeed on Ray Train, for real but small: a tiny Llama in 4 bits, on CPU."""

import json
import threading
from pathlib import Path

import pytest
import torch
from killing import kill_a_worker_after_the_first_epoch
from tiny_llama import write_tiny_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from raybio.config import (
    CorpusSection,
    DecoderTrainingSection,
    DeepSpeedSection,
    DevSection,
    LoraSection,
    PromptSection,
    TrainDecoderConfig,
    WorkersSection,
)
from raybio.corpora.sample import SampleFiles
from raybio.entities import Sentence
from raybio.errors import ConfigError
from raybio.sentence_stream import read_sentences
from raybio.taggers import load_tagger
from raybio.taggers.calibration import read_calibration
from raybio.taggers.language_model import FourBit
from raybio.training.decoder import TrainedDecoder, train_decoder

SCORED = 12
ADAPTER = {"adapter_config.json", "adapter_model.safetensors"}
TRAINING = DecoderTrainingSection(
    epochs=3,
    learning_rate=5e-3,
    batch_size=16,
    max_length=420,
    max_batch_tokens=2048,
    early_stopping_patience=0,
    gradient_checkpointing=False,
)
SHORT = TRAINING.model_copy(update={"epochs": 2})


@pytest.fixture(scope="module")
def llama(sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = sample.train.read_text(encoding="utf-8").replace("\t", ":").splitlines()
    return write_tiny_llama(tmp_path_factory.mktemp("llama"), texts)


def decoder_config(
    llama: Path, sample: SampleFiles, output: Path, name: str, **changes: object
) -> TrainDecoderConfig:
    fields: dict[str, object] = {
        "job": "train-decoder",
        "model": str(llama),
        "corpus": CorpusSection(train=str(sample.train), dev=str(sample.dev), test=str(sample.test)),
        "output": str(output),
        "name": name,
        "lora": LoraSection(r=8, alpha=16),
        "training": TRAINING,
        "dev": DevSection(sentences=SCORED),
        "workers": WorkersSection(accelerator="cpu"),
        "test": False,
        "bootstrap": 0,
    }
    return TrainDecoderConfig(**{**fields, **changes})


@pytest.fixture(scope="module")
def trained(
    llama: Path, sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainedDecoder, list[int]]:
    """Two workers, one of which dies after the first epoch."""
    output = tmp_path_factory.mktemp("decoders")
    workers = WorkersSection(num_workers=2, accelerator="cpu", cpus_per_worker=0.5)
    killed: list[int] = []
    arguments = (output / "two" / "metrics.jsonl", killed)
    killer = threading.Thread(target=kill_a_worker_after_the_first_epoch, args=arguments)
    killer.start()
    result = train_decoder(decoder_config(llama, sample, output, "two", workers=workers))
    killer.join()
    return result, killed


def test_the_loss_falls_though_a_worker_was_killed(trained: tuple[TrainedDecoder, list[int]]) -> None:
    result, killed = trained
    epochs = result.run.metrics()
    assert killed and "resumed after epoch" in (result.run.path / "log.txt").read_text()
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    losses = [row["train_loss"] for row in epochs]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.8 * losses[0]
    assert set(result.scores) == {"dev"} == set(result.run.read_json("scores.json"))


def test_the_adapter_says_how_its_base_was_rounded(trained: tuple[TrainedDecoder, list[int]]) -> None:
    assert FourBit.read(trained[0].run.model) == FourBit("nf4", True, "float32")


def test_long_sentences_are_rejected_aloud(trained: tuple[TrainedDecoder, list[int]]) -> None:
    result, _ = trained
    lines = (result.run.path / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    rejected = [json.loads(line) for line in lines]
    assert rejected and all("more than max_length: 420" in one["reason"] for one in rejected)
    assert f"rejected {len(rejected)} sentences" in (result.run.path / "log.txt").read_text()


def test_the_model_is_an_adapter_and_nothing_of_its_base(
    trained: tuple[TrainedDecoder, list[int]], llama: Path
) -> None:
    model = trained[0].run.model
    assert {path.name for path in model.iterdir()} >= {*ADAPTER, "raybio.json", "tokenizer.json"}
    assert "config.json" not in {path.name for path in model.iterdir()}
    adapter = (model / "adapter_model.safetensors").stat().st_size
    assert adapter < (llama / "model.safetensors").stat().st_size
    card = json.loads((model / "raybio.json").read_text())
    assert (card["kind"], card["base_model"], card["max_length"]) == ("decoder", str(llama), 420)
    page = (model / "README.md").read_text()
    assert "library_name: peft" in page and str(llama) not in page


def test_the_reloaded_adapter_computes_what_was_trained(
    trained: tuple[TrainedDecoder, list[int]], llama: Path, sample: SampleFiles
) -> None:
    from peft import PeftModel

    run = trained[0].run
    tokenizer = AutoTokenizer.from_pretrained(run.model)
    ids = torch.tensor([tokenizer("Aspirin reduced arthritis in mice .").input_ids])

    def logits() -> torch.Tensor:
        base = AutoModelForCausalLM.from_pretrained(llama)
        adapted = PeftModel.from_pretrained(base, run.model).eval()
        with torch.no_grad():
            return adapted(ids).logits

    plain = AutoModelForCausalLM.from_pretrained(llama)(ids).logits
    assert torch.equal(logits(), logits()) and not torch.allclose(logits(), plain, atol=0.1)
    again = [load_tagger(run.model).tag(dev_of(sample)) for _ in range(2)]
    assert [tags.tags for tags in again[0]] == [tags.tags for tags in again[1]]
    assert written_tags(trained[0]) == [tags.tags for tags in again[0]]


def dev_of(sample: SampleFiles) -> list[Sentence]:
    """Return the sentences of dev that runs are scored on."""
    corpus = CorpusSection(train=str(sample.train), dev=str(sample.dev), test=str(sample.test))
    sentences = list(read_sentences(corpus, "dev"))
    return [sentences[i * len(sentences) // SCORED] for i in range(SCORED)]


def written_tags(result: TrainedDecoder) -> list[tuple[str, ...]]:
    """Return the tags that a run wrote for them."""
    predictions = (result.run.path / "predictions" / "dev.tsv").read_text(encoding="utf-8")
    blocks = [block.splitlines() for block in predictions.strip("\n").split("\n\n")]
    return [tuple(line.split("\t")[2] for line in block) for block in blocks]


@pytest.mark.soak
def test_two_workers_share_the_weights_by_zero_3(llama: Path, sample: SampleFiles, tmp_path: Path) -> None:
    workers = WorkersSection(num_workers=2, accelerator="cpu", cpus_per_worker=0.5)
    shared = DeepSpeedSection(zero_stage=3)
    result = train_decoder(
        decoder_config(llama, sample, tmp_path, "shared", deepspeed=shared, workers=workers, training=SHORT)
    )
    first, last = (row["train_loss"] for row in result.run.metrics())
    assert last < first
    tagged = load_tagger(result.run.model).tag(dev_of(sample))
    assert written_tags(result) == [one.tags for one in tagged]


@pytest.mark.soak
def test_tag_tokens_are_learned_and_merged(llama: Path, sample: SampleFiles, tmp_path: Path) -> None:
    result = train_decoder(
        decoder_config(
            llama,
            sample,
            tmp_path,
            "merged",
            prompt=PromptSection(tag_tokens=True),
            lora=LoraSection(r=8, alpha=16, target_modules=("q_proj", "v_proj", "down_proj")),
            training=SHORT,
            merge="full-precision",
        )
    )
    first, last = (row["train_loss"] for row in result.run.metrics())
    assert last < first
    files = {path.name for path in result.run.model.iterdir()}
    assert {"config.json", "model.safetensors"} <= files and not ADAPTER & files
    assert {path.name for path in (result.run.path / "adapter").iterdir()} >= ADAPTER
    [tag] = AutoTokenizer.from_pretrained(result.run.model)(
        ":B-Chemical\n", add_special_tokens=False
    ).input_ids
    assert tag >= AutoModelForCausalLM.from_pretrained(llama).config.vocab_size
    tagged = load_tagger(result.run.model).tag(dev_of(sample))
    assert written_tags(result) == [one.tags for one in tagged]


def test_tag_head_gives_an_encoder(llama: Path, sample: SampleFiles, tmp_path: Path) -> None:
    config = decoder_config(llama, sample, tmp_path, "tags", head="tags", attention="upper-half")
    result = train_decoder(config)
    losses = [row["train_loss"] for row in result.run.metrics()]
    assert losses == sorted(losses, reverse=True)
    files = {path.name for path in result.run.model.iterdir()}
    assert {"config.json", "model.safetensors", "raybio.json"} <= files and not ADAPTER & files
    assert {path.name for path in (result.run.path / "adapter").iterdir()} >= ADAPTER
    card = json.loads((result.run.model / "raybio.json").read_text())
    assert (load_tagger(result.run.model).labels, card["blocks_both_ways"]) == (tuple(card["labels"]), [1])
    assert read_calibration(result.run.model), "for its int8 form"
    assert "scores are calibrated on 40 sentences of dev" in (result.run.path / "log.txt").read_text()
    assert card["temperature"] > 0
    assert "pipeline_tag: token-classification" in (result.run.model / "README.md").read_text()
    dev_f1 = result.run.metrics()[result.best_epoch - 1]["dev_strict_f1"]
    assert result.scores["dev"]["corrected"]["overall"]["strict"]["f1"] == pytest.approx(dev_f1)


def test_a_run_that_would_fail_does_not_start(llama: Path, sample: SampleFiles, tmp_path: Path) -> None:
    too_long = TRAINING.model_copy(update={"max_length": 100_000, "max_batch_tokens": 100_000})
    with pytest.raises(ConfigError, match="length over the model's limit"):
        train_decoder(decoder_config(llama, sample, tmp_path, "long", training=too_long))
    assert not (tmp_path / "long").exists()
