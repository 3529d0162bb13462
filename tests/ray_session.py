"""A private Ray cluster for tests, in their own process; jobs find it and share it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from raybio.cluster import private_cluster, settle_data


@contextmanager
def ray_session() -> Iterator[None]:
    """Start a cluster whose workers stand in the current folder; shut it down at the end."""
    # Sockets lie under this folder, and their paths may not be longer than 107 bytes.
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="rb", dir="/tmp") as folder,
        private_cluster(num_cpus=2, object_store_memory=200 * 2**20, _temp_dir=folder),
    ):
        # By default Ray Train looks at what workers reported every two seconds.
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")
        settle_data()
        yield
