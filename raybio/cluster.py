"""Joins the Ray cluster that is there, or starts a private one on this machine."""

from __future__ import annotations

import functools
import logging
import os
import secrets
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.data
from ray._common.utils import get_default_system_temp_dir
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raybio import stopping
from raybio.errors import UsageError
from raybio.joining import joins_a_cluster
from raybio.ray_messages import settle_messages

_CLOSED = {
    "RAY_AUTH_MODE": "token",
    # So Ray's processes take 127.0.0.1 for the address of their machine, and listen there alone. Where it
    # is on (on Linux), Ray replaces any loopback address that it is given by one that others can reach.
    ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",
}
_UNSET = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ENABLE_K8S_TOKEN_AUTH")
_RESTART_ALARM = b"has constructor arguments in the object store and max_restarts > 0"
_token: str | None = None
"""What this process's own clusters ask for, while there is one."""
_PATIENCE = "RAY_DATA_EXECUTION_NO_PROGRESS_TIMEOUT_S"


@contextmanager
def connected() -> Iterator[None]:
    """Hold a connection to Ray for the length of a `with` block; one that is open is shared.

    A job that was submitted to a cluster, or a shell where RAY_ADDRESS is set, joins that
    cluster. Otherwise a private cluster is started for the block.
    """
    settle_messages()
    if ray.is_initialized():
        yield
    elif joins_a_cluster():
        _start()
        try:
            yield
        finally:
            ray.shutdown()
    else:
        with private_cluster(_temp_dir=_private_folder()):
            yield


@contextmanager
def private_cluster(**options: Any) -> Iterator[None]:
    """Run a cluster on this machine for the length of a `with` block; `options` go to `ray.init`.

    It listens on the loopback address, lets in only processes that have its token, and shows no
    dashboard. What workers print stays in Ray's log files: jobs report progress themselves.
    """
    private_environment()
    with own_token():
        try:
            with closed_environment():
                _start(address="local", include_dashboard=False, **options)
            yield
        finally:
            ray.shutdown()


@contextmanager
def own_token() -> Iterator[str]:
    """Give the token of this process's own clusters, a random one, for the length of a `with` block.

    Within another such block it is the same token: Ray keeps one for a process, and the cluster of the
    outer block still asks for it.
    """
    global _token
    if _token is not None:
        yield _token
        return
    _token = secrets.token_hex(32)
    try:
        yield _token
    finally:
        _token = None
        _reload_authentication()


@contextmanager
def closed_environment() -> Iterator[None]:
    """Have the Ray processes that start in a `with` block accept nobody but each other.

    They get `own_token` through their environment, which only their user can read: it stands in no file and
    on no command line. What the user has set for clusters that they join, a token or
    RAY_AUTH_MODE=disabled, does not apply here, and is there again after the block.
    """
    with own_token() as token:
        before = {name: os.environ.get(name) for name in (*_CLOSED, *_UNSET)}
        may_listen_everywhere = ray_constants.ENABLE_RAY_CLUSTER
        for name in _UNSET:
            os.environ.pop(name, None)
        os.environ.update(_CLOSED, RAY_AUTH_TOKEN=token)
        # Ray read it when it was imported.
        ray_constants.ENABLE_RAY_CLUSTER = False
        _reload_authentication()
        try:
            yield
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = may_listen_everywhere
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _reload_authentication() -> None:
    """Have Ray read again from the environment how this process authenticates; Ray itself reads it once."""
    # In this order: in token mode, a thread that looks for a token and finds none ends the process.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _private_folder() -> str | None:
    """Return a folder for sockets and logs that other users cannot enter; None where the user chose one.

    Ray itself makes all folders of a session writable for everyone.
    """
    if "RAY_TMPDIR" in os.environ:
        return None
    folder = Path(get_default_system_temp_dir()) / f"raybio-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UsageError(f"{folder} is not a folder that you alone can enter. Remove it, or set RAY_TMPDIR")
    return str(folder / "ray")


def _start(**where: Any) -> None:
    try:
        ray.init(logging_level=logging.WARNING, log_to_driver=False, **where)
    except SystemExit:
        # What Ray does from here on when SIGTERM comes.
        raise KeyboardInterrupt from None
    finally:
        stopping.listen()


def private_environment() -> None:
    """Set what suits the processes of a private cluster, where the user has not set it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A thread of OpenMP that waits for another spins. Where something else needs its core too,
    # that multiplies the time of small operations; a short spin costs an idle machine a few percent.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # Nobody takes this machine away; the watcher is one more process that loads torch.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")


def settle_data() -> None:
    """Leave to jobs what Ray Data would do by itself: progress bars, chatter, giving up.

    It would end what moves no block for half an hour. A shard that an LLM tags slowly moves none, nor does
    a block that workers learn from for hours. Where the user says how long
    (RAY_DATA_EXECUTION_NO_PROGRESS_TIMEOUT_S), that stands; bulk tagging has `shard_timeout_s`.
    """
    context = ray.data.DataContext.get_current()
    if _PATIENCE not in os.environ:
        context.execution_no_progress_timeout_s = -1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # It would print the trace of what it raises too, and that this may be a fault of Ray's.
    logging.getLogger("ray.data.exceptions").setLevel(logging.CRITICAL)
    # Ray Data guesses from the number of files; ours yield many shards each.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"ray\.data\.")
    _use_up_restart_alarm()


@functools.cache
def _use_up_restart_alarm() -> None:
    """Have Ray print where nobody reads it what it prints once a process, at the first pool of actors.

    It warns that actors may fail to restart if their constructor's arguments are lost. Ray Data holds
    those of its pools for as long as they run, and creates each of them so that the warning comes.
    An actor for a node that does not exist brings it too, and starts nothing.
    """
    nowhere = NodeAffinitySchedulingStrategy(ray.NodeID.from_random().hex(), soft=False)
    actor = ray.remote(_Nowhere).options(max_restarts=1, num_cpus=0, scheduling_strategy=nowhere)
    with _stderr_without(_RESTART_ALARM):
        actor.remote(ray.put(None))


class _Nowhere:
    """An actor that never starts."""

    def __init__(self, argument: None) -> None: ...


@contextmanager
def _stderr_without(fragment: bytes) -> Iterator[None]:
    """Hold back what the process, its C++ included, writes to stderr in a `with` block; drop some lines.

    Those with `fragment` in them are dropped; all others follow at its end.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if fragment not in line:
                    os.write(2, line)
