"""One private Ray cluster for the whole session, and small models and corpora to run on it."""

from collections.abc import Iterator

import pytest
from ray_session import ray_session
from samples import training_config

from raybio.corpora.sample import SampleFiles, generate_sample
from raybio.training.encoder import TrainedEncoder, train_encoder


@pytest.fixture(scope="session", autouse=True)
def ray_cluster() -> Iterator[None]:
    """Start a cluster of this session's own; jobs find it and share it."""
    with ray_session():
        yield


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    """A small sample corpus: what tests train on and tag."""
    return generate_sample(tmp_path_factory.mktemp("sample"), train=200, dev=40, test=40, citations=30)


@pytest.fixture(scope="session")
def trained(sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory) -> TrainedEncoder:
    """A really fine-tuned encoder: two epochs on the small sample, one worker."""
    return train_encoder(training_config(sample, tmp_path_factory.mktemp("runs"), "trained"))
