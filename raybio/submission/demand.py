"""What any job's config asks of a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from raybio.config import JobConfig, StudyConfig
from raybio.config.demand import Together
from raybio.config.study_cells import cells


def demands(config: JobConfig) -> Sequence[Together]:
    """Return what a job asks at least; each tuple is what must have room at the same time.

    The runs of a study are started as there is room: the largest must find its place.
    """
    jobs = [cell.points[0] for cell in cells(config)] if isinstance(config, StudyConfig) else [config]
    return list(dict.fromkeys(together for job in jobs for together in job.demands()))
