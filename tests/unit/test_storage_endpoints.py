"""One client for one bucket: however an endpoint is named, all that lists, reads or writes goes there."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from raybio import storage
from raybio.bulk_tagging.inputs import find_inputs
from raybio.bulk_tagging.output_folder import OutputFolder
from raybio.cli.named_files import missing_files
from raybio.config import InputSection
from raybio.corpora import read_corpus
from raybio.corpora.table import Columns
from raybio.filesystems import filesystem_of
from raybio.model_fetching import fetched

NOWHERE = "http://127.0.0.1:9"
DOCUMENT = '{"pmid": "1", "abstract": "Aspirin."}\n'
COLUMNS = Columns(text=("abstract",), id="pmid")


class Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


class Store:
    """A server that speaks S3; `asked` has the host and path of each request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.endpoint = ""
        self._serve = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environment: dict[str, Any], start: Any) -> Any:
        self.asked.append((environment["HTTP_HOST"], environment["PATH_INFO"]))
        return self._serve(environment, start)


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    store = Store()
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    # By its name: a number would have no bucket in front of it, however it is asked.
    store.endpoint = f"http://localhost:{server.server_port}"
    yield store
    server.shutdown()
    thread.join()


class Way(NamedTuple):
    """How an endpoint is named: variables, and what `~/.aws/config` says."""

    variables: dict[str, str]
    config: str = ""


HERE = "endpoint_url = {endpoint}\n"
ELSEWHERE = f"endpoint_url = {NOWHERE}\n"
WAYS = {
    "AWS_ENDPOINT_URL": Way({"AWS_ENDPOINT_URL": "{endpoint}"}),
    "AWS_ENDPOINT_URL_S3": Way({"AWS_ENDPOINT_URL": NOWHERE, "AWS_ENDPOINT_URL_S3": "{endpoint}"}),
    "config": Way({}, f"[default]\n{HERE}"),
    "services": Way({}, f"[default]\nservices = minio\n[services minio]\ns3 =\n  {HERE}"),
    "profile": Way({"AWS_PROFILE": "ceph"}, f"[default]\n{ELSEWHERE}[profile ceph]\n{HERE}"),
    "path style": Way({}, f"[default]\n{HERE}s3 =\n  addressing_style = path\n"),
    "variable before config": Way({"AWS_ENDPOINT_URL": "{endpoint}"}, f"[default]\n{ELSEWHERE}"),
}


@pytest.fixture(params=WAYS)
def store(request, server, tmp_path, monkeypatch) -> Iterator[Store]:
    """The server, named in one of the ways and in no other."""
    way = WAYS[request.param]
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in way.variables.items():
        monkeypatch.setenv(name, value.format(endpoint=server.endpoint))
    aws = tmp_path / "home" / ".aws"
    aws.mkdir(parents=True)
    (aws / "config").write_text(way.config.format(endpoint=server.endpoint))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAYBIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no secret")
    s3fs.S3FileSystem.clear_instance_cache()
    server.asked.clear()
    yield server
    s3fs.S3FileSystem.clear_instance_cache()


def write_table(url: str) -> None:
    with storage.write_whole(url) as stream:
        pq.write_table(pa.table({"pmid": ["1"], "abstract": ["Aspirin."]}), stream)


def test_all_that_touches_a_bucket_goes_to_the_endpoint_that_is_named(store, tmp_path):
    bucket = f"s3://{tmp_path.name.replace('_', '-').lower()}"
    filesystem_of(bucket)[0].mkdir(bucket)
    storage.write_text(f"{bucket}/in/one.jsonl", DOCUMENT)
    assert storage.create_whole(f"{bucket}/in/two.jsonl", DOCUMENT.encode())
    write_table(f"{bucket}/in/three.parquet")
    for pattern in (f"{bucket}/in", f"{bucket}/in/*"):
        found = find_inputs([pattern], output=f"{bucket}/out", columns=COLUMNS)
        assert [file.key for file in found] == ["one", "three", "two"]
        # What is listed is read.
        texts = [record.text for file in found for record in read_corpus(file.path, columns=file.columns)]
        assert texts == ["Aspirin."] * 3
    assert [*missing_files(InputSection(files=(f"{bucket}/in/*.jsonl",)), print)] == []
    output = OutputFolder(f"{bucket}/out")
    output.write_json("ledger/one.json", {"documents": 1})
    assert output.read_json("ledger/one.json") == {"documents": 1}
    storage.write_text(f"{bucket}/model/config.json", "{}")
    assert [file.name for file in Path(fetched(f"{bucket}/model", ["*.json"])).iterdir()] == ["config.json"]
    # In path style, as MinIO and Ceph are asked that have no name for each bucket.
    name = bucket.removeprefix("s3://")
    assert {host for host, _ in store.asked} == {store.endpoint.removeprefix("http://")}
    assert {path.split("/")[1] for _, path in store.asked} == {name}


def test_what_another_process_adds_is_listed_at_once(bucket):
    """A client that remembers its listings would miss files which were added since."""
    folder = f"{bucket}/added"
    storage.write_text(f"{folder}/one.jsonl", DOCUMENT)
    assert [file.key for file in find_inputs([folder])] == ["one"]
    elsewhere = s3fs.S3FileSystem(skip_instance_cache=True)
    elsewhere.pipe_file(f"{folder}/two.jsonl", DOCUMENT.encode())
    assert [file.key for file in find_inputs([folder])] == ["one", "two"]


def test_a_public_google_bucket_is_read_as_it_was_listed(google_bucket):
    """`anonymous@` is what lets one in: it must stand in the path that a reader opens."""
    assert google_bucket.startswith("gs://anonymous@")
    storage.write_text(f"{google_bucket}/public/one.jsonl", DOCUMENT)
    for pattern in (f"{google_bucket}/public", f"{google_bucket}/public/*.jsonl"):
        [file] = find_inputs([pattern])
        assert file.path == f"{google_bucket}/public/one.jsonl"
        assert [record.text for record in read_corpus(file.path, columns=COLUMNS)] == ["Aspirin."]


def test_a_file_system_is_opened_in_one_place():
    root = Path(storage.__file__).parent
    openers = (
        "url_to_fs",
        "fsspec.filesystem(",
        "fsspec.open(",
        "pyarrow.fs",
        "pa.fs",
        "boto3",
        "S3FileSystem",
    )
    found = [
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if any(opener in file.read_text("utf-8") for opener in openers)
    ]
    assert found == ["filesystems.py"]
