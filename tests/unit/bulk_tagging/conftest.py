"""Files to tag, and where outputs lie: on a local disk, in fsspec's memory, in a bucket."""

import gzip
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


@pytest.fixture
def jsonl(tmp_path):
    """Write a file of JSON lines, packed where its name says so."""

    def make(text, name="a.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
        path.write_bytes(packed)
        return path

    return make
