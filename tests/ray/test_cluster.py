"""How long a job's stage of Ray Data may take: as long as it takes."""

import time

import pytest
import ray.data
from ray.data.exceptions import ExecutionTimeoutError

from raybio.cluster import settle_data


def _slow(batch: dict) -> dict:
    time.sleep(5)
    return batch


def test_a_stage_that_moves_no_block_for_long_is_not_given_up() -> None:
    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = 2
    try:
        with pytest.raises(ExecutionTimeoutError, match="no progress"):
            ray.data.range(1).map_batches(_slow).materialize()
    finally:
        settle_data()
    assert ray.data.range(1).map_batches(_slow).materialize().count() == 1
