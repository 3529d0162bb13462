from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from raybio.taggers.batching import cheapest_batches, equal_batches, token_budget_batches

lengths_and_budget = st.tuples(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 200))


@given(lengths_and_budget)
def test_every_position_is_in_one_batch_within_the_budget_or_alone(drawn):
    lengths, budget = drawn
    batches = token_budget_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@given(lengths_and_budget)
def test_equal_batches_are_of_one_length_within_the_budget_or_alone(drawn):
    lengths, budget = drawn
    batches = equal_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        [length] = {lengths[i] for i in batch}
        assert len(batch) == 1 or len(batch) * length <= budget
    # No two of them could be one.
    full = [(lengths[batch[0]], len(batch)) for batch in batches]
    for (length, size), (after, _) in pairwise(full):
        assert length > after or length * (size + 1) > budget


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


@given(st.lists(st.integers(1, 60), max_size=7), st.integers(1, 200), st.integers(0, 80))
def test_no_other_batches_cost_less(lengths, budget, per_pass):
    def cost(batches):
        return sum(len(batch) * max(lengths[i] for i in batch) + per_pass for batch in batches)

    found = cheapest_batches(lengths, budget, per_pass)
    order = [i for batch in found for i in batch]
    assert order == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    for count in range(len(lengths)):
        for seams in combinations(range(1, len(lengths)), count):
            others = [order[a:b] for a, b in pairwise([0, *seams, len(order)])]
            if all(len(one) == 1 or len(one) * lengths[one[0]] <= budget for one in others):
                assert cost(found) <= cost(others)


def test_batches_that_cost_least_drawn_by_hand():
    assert cheapest_batches([9, 3, 9, 3], 40, 5) == [[0, 2], [1, 3]]
    assert cheapest_batches([9, 3, 9, 3], 40, 20) == [[0, 2, 1, 3]]
    assert cheapest_batches([50, 3], 40, 1) == [[0], [1]]
    assert cheapest_batches([], 40, 5) == []
