"""A real Ray head in processes of its own, with its job server and token."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from fake_cloud import FakeCloud
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 120
_AUTOSCALING = {
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
}
_PORTS = (
    "port",
    "dashboard-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
    "ray-client-server-port",
    "object-manager-port",
    "node-manager-port",
    "runtime-env-agent-port",
)


# Whatever proxy this machine's user has, it is not for this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Head:
    """A head that runs: where its job server and its drivers' door are, what lets one in, and its folder."""

    address: str
    gcs: str
    environment: dict[str, str]
    folder: Path

    def run(self, *words: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run a command line in the checkout, as who has the token."""
        return subprocess.run(
            [str(word) for word in words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def raybio(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run the command `raybio` for this cluster."""
        return self.run(*self.command(*words))

    def command(self, *words: object) -> list[str]:
        """Return the words of a `raybio` command line for this cluster."""
        first, *rest = map(str, words)
        code = "import sys, raybio.cli; sys.exit(raybio.cli.main())"
        return [sys.executable, "-c", code, first, *rest, "--address", self.address]

    def ask(self, path: str, method: str = "GET") -> Any:
        """Ask the job server."""
        token = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        request = urllib.request.Request(f"{self.address}{path}", headers=token, method=method)
        with OPENER.open(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def ray_head(node_types: Mapping[str, Any] | None = None, cpus: int = 2) -> Iterator[Head]:
    """Start a head of so many CPUs with token authentication; end it and what it started.

    With `node_types`, as in a cluster.yaml, its autoscaler starts nodes of these types: processes on
    this machine, that have the resources their type says.
    """
    # Sockets lie under this folder, and their paths may not be longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rb", dir="/tmp", ignore_cleanup_errors=True) as folder:
        ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_USAGE_STATS_ENABLED": "0",
            # Nobody's work waits for the end of this head.
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            "GOMP_SPINCOUNT": "20000",
            "NO_PROXY": "127.0.0.1",
            # A job says `python`: the one that runs the tests.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            **(_AUTOSCALING if node_types else {}),
        }
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--temp-dir={folder}"]
        command += [f"--num-cpus={cpus}", "--object-store-memory=100000000"]
        command += [*(f"--{name}={port}" for name, port in ports.items())]
        if node_types:
            file = Path(folder) / "autoscaling.json"
            file.write_text(json.dumps(_autoscaling(node_types, f"127.0.0.1:{ports['port']}", folder)))
            command.append(f"--autoscaling-config={file}")
        with (Path(folder) / "head.log").open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            server, gcs = (f"127.0.0.1:{ports[name]}" for name in ("dashboard-port", "port"))
            started = Head(f"http://{server}", gcs, environment, Path(folder))
            _wait(started, process)
            yield started
        finally:
            _end(process)


@contextmanager
def joined_node(head: Head, cpus: int) -> Iterator[None]:
    """Start one more node of the head's cluster, as on another machine; end it and what it started."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={head.gcs}", "--block"]
    command += ["--node-ip-address=127.0.0.1", f"--num-cpus={cpus}", "--object-store-memory=100000000"]
    with (head.folder / "node.log").open("w") as log:
        process = subprocess.Popen(command, env=head.environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + _START_SECONDS
        while len(_alive(head)) < 2:
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError(f"no node joined:\n{(head.folder / 'node.log').read_text()[-3000:]}")
            time.sleep(0.5)
        yield
    finally:
        _end(process)


def _alive(head: Head) -> list[Any]:
    nodes = head.ask("/api/v0/nodes")["data"]["result"]["result"]
    return [node for node in nodes if node["state"] == "ALIVE"]


def _autoscaling(node_types: Mapping[str, Any], address: str, folder: str) -> dict[str, Any]:
    """Return a cluster.yaml's content for nodes that are processes; idle ones go after six seconds."""
    provider = {
        "type": "external",
        "module": f"{FakeCloud.__module__}.{FakeCloud.__qualname__}",
        "log": f"{folder}/launches.jsonl",
        "gcs_address": address,
        "head_node_id": FAKE_HEAD_NODE_ID,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
    }
    head = {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0}
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "fake",
        "max_workers": sum(kind["max_workers"] for kind in node_types.values()),
        "upscaling_speed": 12.0,
        "idle_timeout_minutes": 0.1,
        "provider": provider,
        "auth": {},
        "available_node_types": {**node_types, "ray.head.default": head},
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "cluster_synced_files": [],
        "rsync_exclude": [],
        "rsync_filter": [],
        **{f"{name}_commands": [] for name in commands},
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait(head: Head, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            head.ask("/api/jobs/")
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the head did not start:\n{(head.folder / 'head.log').read_text()[-3000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the head and its children, asked first; nothing else of Ray on this machine is touched."""
    if process.poll() is not None:
        return
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs([psutil.Process(process.pid), *children], timeout=10)
    for each in alive:
        each.kill()
    process.wait()
