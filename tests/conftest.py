"""Fixtures every test may use."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine may take any time for one example: that says nothing about the code.
# `make test` tries the same examples each time: what fails is what was changed. `make soak` looks for more.
settings.register_profile(
    "raybio", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, max_examples=2000, suppress_health_check=list(HealthCheck))
settings.load_profile("raybio")

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
def crds() -> Path:
    """The folder of KubeRay's definitions (helm-chart/kuberay-operator/crds, v1.7.0), if it is here."""
    return _beside("RAYBIO_TEST_CRDS", "crds")


@pytest.fixture(scope="session")
def google_bucket() -> Iterator[str]:
    """The URL of a bucket of a server that speaks as Google Cloud Storage does, for pyarrow to reach."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--host=127.0.0.1", f"--port={port}", "--in-memory", "--default-bucket=raybio-tests"]
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", *options]
    # In a process of its own: pyarrow holds the interpreter while it waits for some answers.
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(port)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", f"http://127.0.0.1:{port}")  # for pyarrow
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")  # for gcsfs
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it asks over gRPC, which nobody answers
        yield "gs://anonymous@raybio-tests"
    server.kill()
    server.wait()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


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
        # Those of tests before were made without these credentials.
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("raybio-tests")
        yield "s3://raybio-tests"
    server.stop()
