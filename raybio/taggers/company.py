"""Whether a model reads a window alike in whatever company, though others of its batch are longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raybio.taggers.special_tokens import padding_of

_TEXT = "In rats, naloxone (2 mg/kg) reversed the effect of clonidine."
# Models that pool look at an odd length in another way than at an even one.
_WIDER = (1, 2, 5, 32)
# Of the largest logit. Rounding stays far below it, and what padding changes lies far above.
_ROUNDING = 2e-3
_COARSE_ROUNDING = 5e-2


def reads_padding(
    forward: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]],
    tokenizer: Any,
    *,
    coarse: bool = False,
) -> bool:
    """Say whether padding, though masked, changes what a model's `forward` pass says of a text.

    It does where a convolution or a pooling runs over the whole batch (ConvBERT, Funnel). `coarse` says that
    the model computes in bf16, fp16 or int8.
    """
    ids = np.array([tokenizer(_TEXT)["input_ids"]], dtype=np.int64)
    mask = np.ones_like(ids)
    alone = forward(ids, mask)
    allowed = (_COARSE_ROUNDING if coarse else _ROUNDING) * max(float(np.abs(alone).max()), 1e-6)
    length = ids.shape[1]
    for more in _WIDER:
        filled = np.pad(ids, ((0, 0), (0, more)), constant_values=padding_of(tokenizer))
        padded = forward(filled, np.pad(mask, ((0, 0), (0, more))))[:, :length]
        if not float(np.abs(padded - alone).max()) <= allowed:
            return True
    return False
