"""The interface behind Ray Serve's proxies, as on a cluster and as a RayService."""

import json
import socket
import time
import urllib.request
from collections.abc import Iterator

import pytest
from ray import serve

from raybio.config import ServeConfig, job_of
from raybio.errors import ConfigError
from raybio.serving import applications, ingress
from raybio.serving.deployment import undeploy
from raybio.serving.ingress import served
from raybio.training.encoder import TrainedEncoder

pytestmark = pytest.mark.ray

# Whatever proxy this machine's user has, it is not for this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def address(trained: TrainedEncoder) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    model = {"name": "encoder", "model": str(trained.run.model), "precision": "fp32", "cpus": 0.0}
    config = job_of(ServeConfig, {"port": port, "models": [model]}, "a test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingress, "joins_a_cluster", lambda: True)
        with served(config, lambda line: None) as address:
            yield address
    until = time.monotonic() + 60
    while serve.status().applications and time.monotonic() < until:
        time.sleep(0.2)
    serve.shutdown()


def test_requests_are_answered_through_a_proxy(address: str) -> None:
    body = json.dumps({"text": "Naloxone reverses the effect of clonidine."}).encode()
    with OPENER.open(f"{address}/tag", body) as answer:
        (document,) = json.load(answer)["documents"]
    assert document["sentences"][0]["words"][0] == "Naloxone"


def test_a_config_file_of_ray_serve_names_the_same_applications(
    address: str, trained: TrainedEncoder
) -> None:
    options = {"name": "filed", "model": str(trained.run.model), "cpus": 0.0}
    try:
        serve.run(applications.model(options), name="filed", route_prefix=None)
        serve.run(applications.interface({"models": ["filed"]}), name="filed-http", route_prefix="/filed")
        with OPENER.open(f"{address}/filed/models") as answer:
            assert [model["name"] for model in json.load(answer)["models"]] == ["filed"]
        with pytest.raises(ConfigError, match="did you mean 'model'"):
            applications.model({**options, "modle": "x"})
    finally:
        undeploy("filed-http")
        undeploy("filed")
