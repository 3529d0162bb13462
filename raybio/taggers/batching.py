"""Batches by token budget: what a batch costs is its longest member times its size."""

from __future__ import annotations

import math
from collections.abc import Sequence


def token_budget_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group positions of `lengths` so that size x longest stays within `budget` tokens.

    Members of a batch are of similar length, longest batches first (so that a batch too large
    for memory fails at once, not at the end). A member longer than `budget` gets a batch of its own.
    """
    batches: list[list[int]] = []
    longest = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and longest * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(i)
        else:
            batches.append([i])
            longest = lengths[i]
    return batches


def equal_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group positions of `lengths` as `token_budget_batches` does, each batch of one length."""
    alike: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        alike.setdefault(length, []).append(i)
    return [
        places[first : first + max(1, budget // max(1, length))]
        for length, places in sorted(alike.items(), reverse=True)
        for first in range(0, len(places), max(1, budget // max(1, length)))
    ]


def cheapest_batches(lengths: Sequence[int], budget: int, per_pass: int) -> list[list[int]]:
    """Group positions of `lengths` as `token_budget_batches` does, but so that all batches cost least.

    A batch costs size x longest, padding included, and `per_pass` tokens more. It takes as many
    steps as there are lengths, times the members of a batch: for small budgets.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    costs: list[float] = [0.0, *[math.inf] * len(order)]
    begins = [0] * len(costs)  # where the batch begins that ends before each place, at least cost
    for begin, first in enumerate(order):
        most = max(1, budget // max(1, lengths[first]))
        for end in range(begin + 1, min(begin + most, len(order)) + 1):
            cost = costs[begin] + lengths[first] * (end - begin) + per_pass
            if cost < costs[end]:
                costs[end], begins[end] = cost, begin
    batches = []
    end = len(order)
    while end:
        batches.append(order[begins[end] : end])
        end = begins[end]
    return batches[::-1]
