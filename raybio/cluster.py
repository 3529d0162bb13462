"""Joins the Ray cluster that is there, or starts a private one on this machine."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
import ray.data

from raybio import stopping

_PATIENCE = "RAY_DATA_EXECUTION_NO_PROGRESS_TIMEOUT_S"


@contextmanager
def connected() -> Iterator[None]:
    """Hold a connection to Ray for the length of a `with` block; one that is open is shared.

    A job that was submitted to a cluster, or a shell where RAY_ADDRESS is set, joins that
    cluster. Otherwise a private cluster is started for the block: it listens on this machine
    only, shows no dashboard and needs no token. What workers print stays in Ray's log files: jobs
    report progress themselves.
    """
    if ray.is_initialized():
        yield
        return
    if joins_a_cluster():
        _start()
    else:
        private_environment()
        _start(address="local", include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()


def joins_a_cluster() -> bool:
    """Say whether there is a cluster that jobs of this process join, which then outlives them."""
    return bool(os.environ.get("RAY_ADDRESS"))


def _start(**where: Any) -> None:
    try:
        ray.init(logging_level=logging.WARNING, log_to_driver=False, **where)
    except SystemExit:
        # What Ray does from here on when SIGTERM comes.
        raise KeyboardInterrupt from None
    finally:
        stopping.listen()


def private_environment() -> None:
    """Set what the processes of a private cluster inherit, where the user has not set it."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
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
    (RAY_DATA_EXECUTION_NO_PROGRESS_TIMEOUT_S), that stands; bulk tagging has `shard_seconds`.
    """
    context = ray.data.DataContext.get_current()
    if _PATIENCE not in os.environ:
        context.execution_no_progress_timeout_s = -1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Ray Data guesses from the number of files; ours yield many shards each.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"ray\.data\.")
