"""Batches by token budget: what a batch costs is its longest member times its size."""

from __future__ import annotations

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
