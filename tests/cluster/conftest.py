"""One head for each file of tests, and a small model and input for its jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_head import Head, ray_head
from submissions import write_documents
from tiny_bert import write_tiny_bert
from transformers import AutoTokenizer

from raybio.model_sources import model_folder


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A head of two CPUs with token authentication."""
    with ray_head() as started:
        yield started


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that tags, badly and fast."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder("bundled:minilm"))
    return write_tiny_bert(tmp_path_factory.mktemp("tiny"), tokenizer, ["Chemical", "Disease"], 64, 16)


@pytest.fixture(scope="session")
def many_documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand documents in one file: a hundred shards of ten."""
    return write_documents(tmp_path_factory.mktemp("documents") / "many.jsonl", 1000)
