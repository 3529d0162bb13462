"""Two private clusters after one another in a process, and what strangers can do there: prints JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import ray
import ray.data

from raybio.cluster import connected, settle_data

_STRANGERS = {
    "nothing set": {},
    "no token": {"RAY_AUTH_MODE": "token"},
    "another token": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
    "disabled": {"RAY_AUTH_MODE": "disabled"},
}
_DECISIVE = ("inside", "InvalidAuthToken", "AuthenticationError:")


@ray.remote
def _inside() -> dict[str, Any]:
    return {"token": os.environ["RAY_AUTH_TOKEN"], "mode": os.environ["RAY_AUTH_MODE"]}


class _Same:
    """What a pool of actors does with batches."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch


def _intrude(address: str) -> None:
    """Run a function in the cluster at `address`, as any process may try."""
    ray.init(address=address, log_to_driver=False)
    print(ray.get(ray.remote(lambda: "inside").remote(), timeout=20))


def _stranger(address: str, settings: dict[str, str]) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Ray would otherwise look for the loopback address at another one of this machine.
    environment |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "HOME": "/nonexistent", **settings}
    return subprocess.Popen(
        [sys.executable, __file__, address],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _seen() -> dict[str, Any]:
    """Return what is to be seen of the cluster from outside; its token stands under "token"."""
    inside = ray.get(_inside.remote())
    me = psutil.Process()
    processes = [me, *me.children(recursive=True)]
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    return {
        **inside,
        "listening": sorted(
            {
                (process.name(), connection.laddr.ip)
                for process in processes
                for connection in process.net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            }
        ),
        "driver": {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")},
        "command lines": [each.name() for each in processes if inside["token"] in " ".join(each.cmdline())],
        "files": [
            str(file)
            for file in session.rglob("*")
            if file.is_file() and inside["token"].encode() in file.read_bytes()
        ],
        "modes": [folder.stat().st_mode & 0o777 for folder in session.parents],
    }


def _answers(token: str) -> dict[str, str]:
    """Return what strangers print, and one that has the token."""
    address = ray.get_runtime_context().gcs_address
    known = {"the token": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}}
    strangers = {name: _stranger(address, settings) for name, settings in (_STRANGERS | known).items()}
    return {name: _answer(stranger) for name, stranger in strangers.items()}


def _answer(stranger: "subprocess.Popen[str]") -> str:
    """Return the line that says whether a stranger is in; it would try again for a minute."""
    with stranger:
        lines = (line for line in stranger.stdout if any(word in line for word in _DECISIVE))
        line = next(lines, "it ended with no such line")
        stranger.kill()
    return line.strip()


def main() -> None:
    """Print what is seen of each of two clusters, and what strangers print at the second."""
    with connected():
        first = _seen()
        settle_data()
        pool = ray.data.range(1).map_batches(_Same, compute=ray.data.ActorPoolStrategy(size=1), num_cpus=0)
        assert pool.materialize().count() == 1
    with connected():
        second = _seen()
        answers = _answers(second["token"])
    print(json.dumps({"clusters": [first, second], "answers": answers}))


if __name__ == "__main__":
    _intrude(sys.argv[1]) if sys.argv[1:] else main()
