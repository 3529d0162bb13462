"""One Ray cluster for all fault tests, and drivers that run on it as processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_runs import Faults, small_cluster


@pytest.fixture(scope="package")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    """What starts drivers on the cluster, and ends those that a test left."""
    with small_cluster(cpus=2) as cluster:
        faults = Faults(cluster.address, tmp_path_factory.mktemp("faults"))
        yield faults
        faults.close()


@pytest.fixture(scope="package")
def undisturbed(faults: Faults) -> Path:
    """The output of a run over the dump that nothing disturbed."""
    output = faults.folder / "undisturbed"
    assert faults.run(output) == 0
    return output
