"""Padding that changes what a model says is seen, whatever the number format; rounding is not."""

import numpy as np
import pytest

from raybio.taggers.company import reads_padding


def forward_with(change):
    """Return a forward pass whose logits `change`, if it is given the padding of a row, alters."""

    def forward(ids, mask):
        logits = np.stack([np.sin(ids), np.cos(ids)], axis=-1).astype(np.float32)
        padding = (mask == 0).sum(axis=1)
        return logits + change(padding)[:, None, None].astype(np.float32)

    return forward


@pytest.mark.parametrize(
    ("change", "exact", "coarse"),
    [
        (lambda padding: 0 * padding, False, False),
        (lambda padding: 1e-5 * padding, False, False),
        (lambda padding: 1e-2 * (padding > 0), True, False),
        (lambda padding: 0.2 * (padding > 0), True, True),
        (lambda padding: 0.2 * (padding % 2), True, True),  # only odd lengths are pooled otherwise
        (lambda padding: np.where(padding > 0, np.nan, 0), True, True),
    ],
)
def test_padding_that_is_read_is_seen(tokenizer, change, exact, coarse):
    assert reads_padding(forward_with(change), tokenizer) == exact
    assert reads_padding(forward_with(change), tokenizer, coarse=True) == coarse
