from pathlib import Path

import pytest

from raybio.config import load_config
from raybio.errors import ConfigError

TRAIN = "job: train-encoder\nmodel: bundled:minilm\ncorpus: {name: BC5CDR}\n"
DECODE = "job: train-decoder\nmodel: bundled:smollm2\ncorpus: {name: BC5CDR}\n"
TAG = "job: tag-corpus\nmodel: runs/x/model\ninput: [a.xml]\noutput: tagged\n"


@pytest.fixture
def load(tmp_path: Path):
    """Load a config from its text."""

    def load_text(text: str, *overrides: str):
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, overrides)

    return load_text


@pytest.fixture
def train(load):
    """Load a valid train-encoder config with lines added."""
    return lambda text="", *overrides: load(TRAIN + text, *overrides)


@pytest.fixture
def train_decoder(load):
    """Load a valid train-decoder config with lines added."""
    return lambda text="", *overrides: load(DECODE + text, *overrides)


@pytest.fixture
def tag(load):
    """Load a valid tag-corpus config with lines added."""
    return lambda text="", *overrides: load(TAG + text, *overrides)


@pytest.fixture
def faults():
    """Return the faults of a load that must fail."""

    def faults_of(load, *arguments: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(*arguments)
        assert caught.value.exit_code == 2
        return caught.value.faults

    return faults_of
