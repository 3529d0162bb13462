"""The configs that come with raybio, and the tables they lean on."""

import re
from pathlib import Path
from typing import get_args

import pytest

from raybio.config import JOBS, TrainDecoderConfig, load_config, resolved, sweep_points
from raybio.config.corpus import ReadFormat
from raybio.config.protocol import STUDY_OPTIONS
from raybio.config.tag_corpus import WriteFormat
from raybio.config.yaml_text import parse
from raybio.corpora import formats

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def jobs() -> list[str]:
    files = sorted(CONFIGS.rglob("*.yaml"))
    parsed = {str(file.relative_to(CONFIGS)): parse(file.read_text("utf-8")).data for file in files}
    return [name for name, data in parsed.items() if isinstance(data, dict) and "job" in data]


def _header(name: str) -> str:
    return (CONFIGS / name).read_text("utf-8").partition("\njob:")[0]


@pytest.mark.parametrize("name", jobs())
def test_every_shipped_config_loads(name):
    config = load_config(CONFIGS / name)
    assert type(config) is JOBS[config.job]


@pytest.mark.parametrize(
    "name", ["bert_large_cased", "bert_large_uncased", "biomedbert_large", "deberta_v3_large"]
)
def test_the_encoders_of_the_study_are_swept_as_the_study_did(name):
    config = load_config(CONFIGS / "train_encoder" / f"{name}.yaml")
    points = sweep_points(config)
    assert len(points) == 12
    assert {p.training.learning_rate for p in points} == {1e-5, 2e-5, 3e-5}
    assert {p.training.batch_size for p in points} == {4, 8, 16, 32}
    kept = ("epochs", "early_stopping_patience", "warmup_ratio", "lr_scheduler_type", "max_length")
    assert [resolved(config)["training"][key] for key in kept] == [20, 3, 0.1, "linear", 512]


@pytest.mark.parametrize("name", [name for name in jobs() if "each an option of its own" in _header(name)])
def test_a_header_says_all_that_the_studys_code_did_otherwise(name):
    words = [word for word in _header(name).split() if re.fullmatch(r"\w+\.\w+=\w+", word)]
    config = load_config(CONFIGS / name, words)
    options = STUDY_OPTIONS[type(config)]
    theirs = [f"{key}={'null' if value is None else value}" for key, value in options.items()]
    assert words and config == load_config(CONFIGS / name, theirs)


@pytest.mark.parametrize("gpus", [1, 2])
@pytest.mark.parametrize("name", ["mistral_7b", "llama_8b"])
def test_the_decoders_of_the_study_are_trained_as_the_study_did(name, gpus):
    config = load_config(CONFIGS / "train_decoder" / f"{name}_{gpus}gpu.yaml")
    assert isinstance(config, TrainDecoderConfig)
    assert (config.workers.num_workers, config.workers.accelerator) == (gpus, "gpu")
    assert [p.training.learning_rate for p in sweep_points(config)] == [2e-5, 4e-5]
    quantization, lora, training = config.quantization, config.lora, config.training
    assert (quantization.bits, quantization.type, quantization.double) == (4, "nf4", True)
    assert (lora.r, lora.alpha, lora.dropout) == (128, 256, 0.05)
    assert {t.removesuffix("_proj") for t in lora.target_modules} == {
        *"qkvo",
        "gate",
        "up",
        "down",
        "lm_head",
    }
    assert (training.batch_size, training.max_length, training.optimizer) == (
        32,
        2048,
        "paged-adamw-8bit",
    )
    assert (
        training.epochs,
        training.early_stopping_patience,
        training.lr_scheduler_type,
        training.warmup_ratio,
    ) == (
        20,
        3,
        "linear",
        0.1,
    )
    assert (training.precision, training.gradient_checkpointing) == ("bf16", True)


@pytest.mark.parametrize("name", ["mistral_7b", "llama_8b"])
def test_a_second_gpu_changes_only_the_number_of_workers(name):
    one, two = (resolved(load_config(CONFIGS / "train_decoder" / f"{name}_{n}gpu.yaml")) for n in (1, 2))
    assert two["workers"].pop("num_workers") == one["workers"].pop("num_workers") + 1
    assert one == two


def test_formats_are_those_of_the_corpora():
    assert set(get_args(ReadFormat)) == {name for name, entry in formats().items() if entry.can_read}
    assert set(get_args(WriteFormat)) <= {name for name, entry in formats().items() if entry.can_write}
