import math

import pytest

from raybio.bulk_tagging import pool
from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.pool import pool_size, shards_at_most, tasks_for
from raybio.config import TaggersSection


@pytest.mark.parametrize(
    ("taggers", "had"),
    [
        (TaggersSection(), 16),
        (TaggersSection(cpus=2.0), 8),
        (TaggersSection(max_count=3), 3),
        (TaggersSection(count=2, max_count=5), 5),
        (TaggersSection(gpus=0.5), 8),
    ],
)
def test_the_pool_is_reported_with_the_room_it_had(monkeypatch, taggers, had):
    monkeypatch.setattr(pool.ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 4.0})
    assert pool.had(taggers) == {"taggers": had, "cluster_cpus": 16.0, "cluster_gpus": 4.0}


@pytest.mark.parametrize(
    ("taggers", "shards", "size"),
    [
        (
            TaggersSection(max_count=8, gpus=1),
            math.inf,
            (8, 8),
        ),  # no GPU yet: its nodes come for what is asked
        (TaggersSection(max_count=8, gpus=1), 3, (3, 8)),
        (TaggersSection(max_count=8, gpus=1), 0, (1, 8)),
        (TaggersSection(count=2, max_count=8, gpus=1), math.inf, (2, 8)),
        (TaggersSection(count=4), 1, (1, 4)),
        (TaggersSection(gpus=1), math.inf, (1, 1)),
        (TaggersSection(), math.inf, (16, 16)),
        (TaggersSection(cpus=32), math.inf, (1, 1)),
    ],
)
def test_the_pool_asks_at_once_for_what_it_will_need(taggers, shards, size):
    found = pool_size(taggers, {"CPU": 16.0}, shards)
    assert (found.at_once, found.most) == size


def test_sizes_of_files_bound_the_shards_that_are_left():
    small, large = (InputFile(f"{size}.xml", str(size), "pubmed", "f", None, size) for size in (999, 400_000))
    folder = InputFile("brat", "brat", "brat", "f")
    assert shards_at_most([(small, set())], 1000) == 1
    assert shards_at_most([(small, {0})], 1000) == 0
    assert shards_at_most([(small, set()), (large, {0, 4})], 1000) == 1 + 11 - 2
    assert shards_at_most([(small, set()), (folder, {1})], 1000) == math.inf


@pytest.mark.parametrize(
    ("taggers", "tasks"), [(0, 1), (1, 4), (2, 8), (512, 2048)], ids=lambda count: str(count)
)
def test_tasks_follow_the_taggers_that_exist(taggers, tasks):
    assert tasks_for(taggers, most=512, bound=4 * 512) == tasks


def test_of_few_files_some_are_read_for_few_taggers():
    assert [tasks_for(taggers, most=8, bound=3) for taggers in (0, 1, 4, 8)] == [1, 1, 2, 3]
