from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from raybio.taggers.batching import token_budget_batches

lengths_and_budget = st.tuples(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 200))


@given(lengths_and_budget)
def test_every_position_is_in_one_batch_within_the_budget_or_alone(drawn):
    lengths, budget = drawn
    batches = token_budget_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@given(lengths_and_budget)
def test_the_longest_come_first_and_the_order_is_fixed(drawn):
    lengths, budget = drawn
    order = [i for batch in token_budget_batches(lengths, budget) for i in batch]
    assert order == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


@given(lengths_and_budget)
def test_no_batch_could_take_the_next_member(drawn):
    lengths, budget = drawn
    batches = token_budget_batches(lengths, budget)
    for batch, _ in pairwise(batches):
        assert (len(batch) + 1) * lengths[batch[0]] > budget


def test_batches_drawn_by_hand():
    assert token_budget_batches([3, 9, 3, 5, 20], 10) == [[4], [1], [3, 0], [2]]
    assert token_budget_batches([], 10) == []
