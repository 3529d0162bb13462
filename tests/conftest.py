"""Fixtures every test may use."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _beside(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT.parent / "shared" / name))
    if not folder.is_dir():
        pytest.skip(f"real data is not here: set {variable} to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real corpora (BC5CDR, JNLPBA, ...), where this machine has one."""
    return _beside("RAYBIO_TEST_CORPORA", "corpora")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of known answers, where this machine has one."""
    return _beside("RAYBIO_TEST_GOLDEN", "golden")


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The URL of a bucket of a server that speaks S3, to which this process and its children are led."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "no secret")
        s3fs.S3FileSystem().mkdir("raybio-tests")
        yield "s3://raybio-tests"
    server.stop()
