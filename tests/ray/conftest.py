"""One private Ray cluster for the whole session, and small models and corpora to run on it."""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from filelock import FileLock
from ray_session import ray_session
from samples import training_config
from tiny_bert import write_tiny_bert
from transformers import AutoTokenizer

from raybio.corpora.sample import SampleFiles, generate_sample
from raybio.model_sources import model_folder
from raybio.training.encoder import TrainedEncoder, train_encoder

Made = TypeVar("Made")


@pytest.fixture(scope="session", autouse=True)
def ray_cluster() -> Iterator[None]:
    """Start a cluster of this session's own; jobs find it and share it."""
    with ray_session():
        yield


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    """A small sample corpus: what tests train on and tag."""
    return _made_once("sample", tmp_path_factory, _sample)


@pytest.fixture(scope="session")
def trained(sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory) -> TrainedEncoder:
    """A really fine-tuned encoder: two epochs on the small sample, one worker."""
    return _made_once(
        "trained",
        tmp_path_factory,
        lambda folder: train_encoder(training_config(sample, folder, "trained")),
    )


def _sample(folder: Path) -> SampleFiles:
    return generate_sample(folder, train=200, dev=40, test=40, citations=30)


def _made_once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], Made]) -> Made:
    """Return what `make` made in a folder: one process of pytest makes it, the others take it over."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    shared = factory.getbasetemp() if alone else factory.getbasetemp().parent
    made = shared / f"{name}.pickle"
    with FileLock(shared / f"{name}.lock"):
        if not made.is_file():
            made.write_bytes(pickle.dumps(make(shared / name)))
        found: Made = pickle.loads(made.read_bytes())
        return found


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model to start from where it matters that one trains, and not what it learns."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder("bundled:minilm"))
    return str(write_tiny_bert(tmp_path_factory.mktemp("tiny"), tokenizer, ["Chemical"], 128, 16))
