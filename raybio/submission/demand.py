"""What a job's config asks of a cluster: processes, with the CPUs and GPUs that each must find on a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from raybio.config import (
    BenchmarkServeConfig,
    CascadeConfig,
    JobConfig,
    LearnConfig,
    ServeConfig,
    ServedModelSection,
    StudyConfig,
    TagCorpusConfig,
)
from raybio.config.benchmark_serve import replicas_at_once
from raybio.config.study_cells import cells


@dataclass(frozen=True, slots=True)
class Demand:
    """`count` processes of one kind ("tagger"), and what Ray sets aside for each."""

    kind: str
    count: int
    cpus: float
    gpus: float

    def __str__(self) -> str:
        size = f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")
        return f"{self.count} {self.kind} with {size}" + (" each" if self.count > 1 else "")


Together: TypeAlias = tuple[Demand, ...]


def demands(config: JobConfig) -> Sequence[Together]:
    """Return what `config` asks at least; each tuple is what must have room at the same time.

    Where a config leaves the number to the cluster (`taggers.count: null`, autoscaling), that is
    the smallest with which it works.
    """
    if isinstance(config, TagCorpusConfig):
        taggers = config.taggers
        return [(Demand("tagger", taggers.count or 1, taggers.cpus, taggers.gpus),)]
    if isinstance(config, StudyConfig):
        # Its runs are started as there is room: the largest must find its place.
        points = [cell.points[0] for cell in cells(config)]
        return list(dict.fromkeys(together for point in points for together in demands(point)))
    if isinstance(config, LearnConfig | CascadeConfig):
        workers = config.workers
        gpus = 1.0 if workers.accelerator == "gpu" else 0.0
        return [(Demand("training worker", workers.num_workers, workers.cpus_per_worker, gpus),)]
    if isinstance(config, ServeConfig):
        return [tuple(_replicas(model, model.replicas) for model in config.models)]
    if isinstance(config, BenchmarkServeConfig):
        # Its models are deployed one after the other.
        return [(_replicas(model, replicas_at_once(config, model)),) for model in config.models]
    raise TypeError(f"nobody knows what a {type(config).__name__} asks of a cluster")


def _replicas(model: ServedModelSection, count: int) -> Demand:
    return Demand(f"replica of {model.name}", count, model.cpus, model.gpus)
