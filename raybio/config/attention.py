"""`attention:` of a tag head on an LLM: which of its blocks read both ways, and not from the left alone."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from raybio.config.faults import FaultsError, KeyPath, closest, shown

_NAMES = ("causal", "bidirectional", "upper-half")
_ALLOWED = f"{', '.join(_NAMES)}, or a list of block numbers from 0 and of ranges, such as [0, 14-29]"
_RANGE = re.compile(r"(\d+)-(\d+)")

Blocks: TypeAlias = tuple[int | str, ...]
"""Numbers of blocks, and ranges such as "14-29" in text."""


def blocks_both_ways(attention: str | Blocks, count: int) -> list[int]:
    """Return the numbers, ascending from 0, of those blocks that read both ways in a model of `count` blocks.

    Of an odd number of blocks, the one in the middle belongs to the upper half.

    Raises:
        ValueError: the model has no such block.
    """
    if isinstance(attention, str):
        return list(range({"causal": count, "bidirectional": 0, "upper-half": count // 2}[attention], count))
    chosen = [_numbers(each) for each in attention]
    highest = max(numbers[-1] for numbers in chosen)
    if highest >= count:
        raise ValueError(f"there is no block {highest}: this model has blocks 0 to {count - 1}")
    return sorted({number for numbers in chosen for number in numbers})


def _numbers(block: int | str) -> range:
    """Return the numbers that one item of the list stands for: none where it is no number and no range."""
    if type(block) is int:
        return range(block, block + 1)
    found = _RANGE.fullmatch(block) if isinstance(block, str) else None
    return range(int(found[1]), int(found[2]) + 1) if found else range(0)


def _checked(value: object) -> str | Blocks:
    if isinstance(value, str) and value in _NAMES:
        return value
    if not isinstance(value, list | tuple) or not value:
        match = closest(value, _NAMES) if isinstance(value, str) else None
        meant = f"; did you mean {match!r}?" if match else ""
        raise ValueError(f"found {shown(value)}; allowed: {_ALLOWED}{meant}")
    faults: list[tuple[KeyPath, str]] = [
        ((i,), f"found {shown(each)}; allowed: a block number from 0, or a range such as 14-29")
        for i, each in enumerate(value)
        if not _numbers(each) or _numbers(each)[0] < 0
    ]
    if faults:
        raise FaultsError(faults)
    return tuple(value)


_DESCRIPTION = (
    "the blocks in which a word sees those after it too: causal = none, bidirectional = all, upper-half, or "
    "a list of block numbers from 0 and of ranges, such as [0, 14-29]"
)
_Choice: TypeAlias = Literal["causal", "bidirectional", "upper-half"] | Blocks

HeadAttention = Annotated[
    _Choice, BeforeValidator(_checked), Field(description=f"with head: tags, {_DESCRIPTION}")
]
LlmAttention = Annotated[
    _Choice,
    BeforeValidator(_checked),
    Field(description=f"where the model is an LLM, {_DESCRIPTION}; encoders read both ways as they are"),
]
