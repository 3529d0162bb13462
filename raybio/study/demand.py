"""What runs of a study ask of the cluster, and what it has now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ray

from raybio.config.demand import Together
from raybio.config.study_cells import demands
from raybio.study.runs import StudyRun
from raybio.submission.room import Nodes, lacking
from raybio.training.scoring import uses_gpu


def demand(run: StudyRun) -> Together:
    """Return the processes that a run has at one time; "auto" has GPUs where the cluster has any."""
    if run.kind == "measure":
        return max(demands(run.config), key=lambda together: sum(each.count * each.cpus for each in together))
    (together,) = demands(run.config)
    gpus = 1.0 if uses_gpu(run.config.workers) else 0.0
    return tuple(replace(each, gpus=gpus) for each in together)


def nodes_now() -> list[Nodes]:
    """Return the nodes that run now."""
    return [
        Nodes("node", 1, each["Resources"].get("CPU", 0.0), each["Resources"].get("GPU", 0.0))
        for each in ray.nodes()
        if each["Alive"]
    ]


def at_once(run: StudyRun, nodes: Sequence[Nodes], most: int) -> int:
    """Return how many runs like this one have room at the same time: 1 at least, and `most` at most."""
    fitting = 1
    while fitting < most and lacking(demand(run) * (fitting + 1), nodes) is None:
        fitting += 1
    return fitting
