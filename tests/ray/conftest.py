"""One private Ray cluster for the whole session, and small models and corpora to run on it."""

import tempfile
from collections.abc import Iterator

import pytest
from samples import training_config

from raybio.cluster import private_environment, quiet_data
from raybio.corpora.sample import SampleFiles, generate_sample
from raybio.training.encoder import TrainedEncoder, train_encoder


@pytest.fixture(scope="session", autouse=True)
def ray_cluster() -> Iterator[None]:
    """Start a cluster of this session's own; jobs find it and share it."""
    import ray

    private_environment()
    # Sockets lie under this folder, and their paths may not be longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rb", dir="/tmp") as folder:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=200 * 2**20,
            log_to_driver=False,
            _temp_dir=folder,
        )
        quiet_data()
        yield
        ray.shutdown()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    """A small sample corpus: what tests train on and tag."""
    return generate_sample(tmp_path_factory.mktemp("sample"), train=200, dev=40, test=40, citations=30)


@pytest.fixture(scope="session")
def trained(sample: SampleFiles, tmp_path_factory: pytest.TempPathFactory) -> TrainedEncoder:
    """A really fine-tuned encoder: two epochs on the small sample, one worker."""
    return train_encoder(training_config(sample, tmp_path_factory.mktemp("runs"), "trained"))
