"""A bucket that now and then has no time, and a driver that dies: the output is as on a quiet local disk."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
from fault_runs import DOCUMENTS, SHARDS, Faults, check_equal, committed, kill, rows, wait_until
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

_REFUSED = 15
"""One of so many requests is."""


class Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


class BusyStore:
    """A server that speaks S3 and refuses requests as S3 does when there are too many."""

    def __init__(self) -> None:
        self.refused = 0
        self._serve = DomainDispatcherApplication(create_backend_app)
        self._count = itertools.count(1)

    def __call__(self, environment: dict[str, Any], start: Any) -> Any:
        if next(self._count) % _REFUSED:
            return self._serve(environment, start)
        self.refused += 1
        start("503 Slow Down", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[BusyStore]:
    """The store, to which this process and the drivers that it starts are led."""
    store = BusyStore()
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no secret")
    s3fs.S3FileSystem.clear_instance_cache()
    yield store
    s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()
    thread.join()


def test_a_busy_bucket_and_a_killed_driver_lose_and_double_nothing(
    faults: Faults, store: BusyStore, tmp_path: Path
) -> None:
    s3 = s3fs.S3FileSystem()
    s3.mkdir("faults")
    s3.put(str(faults.dump), "faults/dump", recursive=True)
    source, output = "s3://faults/dump", "s3://faults/out"
    driver = faults.start(output, source, seconds=0.03)
    assert wait_until(lambda: committed(output) >= 2, driver)
    kill(driver)
    assert committed(output) < SHARDS
    assert faults.run(output, source) == 0
    assert store.refused > 5
    s3.get("faults/out/", f"{tmp_path}/out/", recursive=True)
    assert faults.run(tmp_path / "quiet", source) == 0
    assert len(rows(tmp_path / "quiet", "documents")) == SHARDS * DOCUMENTS
    check_equal(tmp_path / "out", tmp_path / "quiet")
