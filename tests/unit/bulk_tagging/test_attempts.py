import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybio.bulk_tagging.attempts import Attempt, to_tag
from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.ledger import Ledger
from raybio.bulk_tagging.shards import Shard
from raybio.entities import Document

SHARD = Shard(
    InputFile("a.jsonl", "a", "jsonl", "f"), 0, tuple(Document(str(i), "T.") for i in range(4)), (), ()
)


def find_culprits(length, poison):
    """Tag as workers do that die of `poison`: the culprits found, and how many workers died."""
    deaths = []
    while True:
        ranges, culprits = to_tag(length, deaths)
        assert (
            sorted(i for first, last in ranges for i in range(first, last)) + culprits
            == sorted(set(range(length)) - set(culprits)) + culprits
        )
        died = next((each for each in ranges if poison.intersection(range(*each))), None)
        if died is None:
            return culprits, len(deaths)
        deaths.append(died)


@given(st.integers(0, 70), st.sets(st.integers(0, 69), max_size=4))
@settings(deadline=None)
def test_all_culprits_are_found_and_nobody_else(length, poison):
    poison = {i for i in poison if i < length}
    culprits, deaths = find_culprits(length, poison)
    assert set(culprits) == poison
    assert deaths <= 2 + len(poison) * 9


def test_one_culprit_among_a_thousand_costs_about_thirteen_workers():
    assert find_culprits(1000, {137})[1] <= 13


def test_one_death_is_no_proof():
    assert to_tag(4, [(0, 4)]) == ([(0, 4)], [])
    assert to_tag(1, [(0, 1)]) == ([(0, 1)], [])
    assert to_tag(1, [(0, 1)] * 2) == ([], [0])


def test_the_most_suspect_documents_come_first():
    assert to_tag(8, [(0, 8), (0, 8), (4, 8)])[0] == [(4, 6), (6, 8), (0, 4)]


def dies(attempt):
    """Leave the mark of a worker that died of its first range."""
    attempt.holding(attempt.ranges[0]).__enter__()


def test_a_shard_that_two_workers_died_of_is_halved_and_only_in_their_own_run(tmp_path):
    ledger = Ledger(str(tmp_path))
    for _ in range(2):
        dies(Attempt(ledger, SHARD, "run 1"))
    third = Attempt(ledger, SHARD, "run 1")
    assert (third.ranges, third.count) == ([(0, 2), (2, 4)], 3)
    dies(third)
    # That run's driver died too, so the worker may have died of that.
    fourth = Attempt(ledger, SHARD, "run 2")
    assert (fourth.ranges, fourth.count) == ([(0, 2), (2, 4)], 4)
    dies(fourth)
    assert Attempt(ledger, SHARD, "run 2").ranges == [(0, 1), (1, 2), (2, 4)]


def test_killed_drivers_put_no_blame_on_documents(tmp_path):
    ledger = Ledger(str(tmp_path))
    for run in range(5):
        attempt = Attempt(ledger, SHARD, f"run {run}")
        assert attempt.ranges == [(0, 4)]
        dies(attempt)


@pytest.mark.parametrize("deaths", [0, 2])
def test_nothing_is_in_flight_after_tagging(tmp_path, deaths):
    ledger = Ledger(str(tmp_path))
    for _ in range(deaths):
        dies(Attempt(ledger, SHARD, "run"))
    attempt = Attempt(ledger, SHARD, "run")
    for documents in attempt.ranges:
        with attempt.holding(documents):
            pass
    attempt.tagged()
    mark = json.loads((tmp_path / ledger.mark_of(SHARD.file, 0)).read_text())
    # A shard that nobody died of keeps its mark until it is committed: it costs one write, not two.
    assert mark["in_flight"] == ([0, 4] if not deaths else None)
