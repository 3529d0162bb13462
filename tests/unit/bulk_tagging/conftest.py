"""Where outputs lie: on a local disk, in fsspec's memory, in a bucket."""

import uuid

import pytest


@pytest.fixture(params=["local", "memory", "s3"])
def output(request, tmp_path) -> str:
    """A place for an output in which nothing lies yet, on each kind of file system."""
    if request.param == "local":
        return str(tmp_path / "out")
    if request.param == "memory":
        return f"memory://out-{uuid.uuid4().hex}"
    return f"{request.getfixturevalue('bucket')}/out-{uuid.uuid4().hex}"
