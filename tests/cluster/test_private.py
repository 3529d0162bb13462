"""A private cluster is closed: to other machines by where it listens, to other processes by its token."""

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[1] / "private_clusters.py"
JOINED = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "of a cluster elsewhere"}
"""What a user may have set for the clusters that they join."""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={**others, **JOINED},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}


def test_all_processes_listen_on_loopback_alone(seen: dict[str, Any]) -> None:
    for cluster in seen["clusters"]:
        listening = {name: ipaddress.ip_address(ip) for name, ip in cluster["listening"]}
        assert {"gcs_server", "raylet"} <= set(listening)
        # Python 3.11 says of no IPv4 address in IPv6 form that it is a loopback address.
        reached = {name: getattr(ip, "ipv4_mapped", None) or ip for name, ip in listening.items()}
        assert all(ip.is_loopback for ip in reached.values()), reached


def test_who_has_not_the_token_is_refused(seen: dict[str, Any]) -> None:
    answers = dict(seen["answers"])
    assert answers.pop("the token") == "inside"
    assert answers.pop("no token").startswith("ray.exceptions.AuthenticationError")
    assert set(answers) == {"nothing set", "another token", "disabled"}
    assert all("InvalidAuthToken" in answer for answer in answers.values()), answers


def test_each_cluster_has_a_token_of_its_own_that_stands_nowhere(seen: dict[str, Any]) -> None:
    first, second = seen["clusters"]
    assert first["mode"] == second["mode"] == "token"
    assert len({first["token"], second["token"], JOINED["RAY_AUTH_TOKEN"]}) == 3
    for cluster in seen["clusters"]:
        assert len(cluster["token"]) == 64
        assert cluster["command lines"] == cluster["files"] == []
        assert cluster["driver"] == JOINED  # so programs that it starts do not inherit the token
        assert 0o700 in cluster["modes"]


def test_nothing_that_ray_logs_of_clusters_and_pools_of_actors_reaches_the_terminal(
    seen: dict[str, Any],
) -> None:
    assert seen["stderr"] == ""
