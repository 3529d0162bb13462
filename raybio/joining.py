"""Which Ray cluster a job uses, known without importing Ray, which takes seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def joins_a_cluster() -> bool:
    """Say whether there is a cluster that jobs of this process join, which then outlives them."""
    return bool(os.environ.get("RAY_ADDRESS"))


def is_connected() -> bool:
    """Say whether this process is connected to Ray already; a job then shares that connection."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def say_starting(say: Callable[[str], None]) -> None:
    """Say that Ray is started or joined, where a job is about to do so."""
    if not is_connected():
        say("joining the cluster ..." if joins_a_cluster() else "starting Ray ...")
