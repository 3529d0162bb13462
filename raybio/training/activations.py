"""What a model keeps of a forward pass for the backward pass, counted without running it.

On fake tensors, which have shapes and no numbers, torch says of each operation which tensors it keeps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks


def kept_for_backward(make: Any, architecture: Any, rows: int, tokens: int, dtype: torch.dtype) -> int:
    """Return the bytes that a model of `make` keeps of a pass over `rows` texts of `tokens` each.

    Weights are fp32 and not counted; `dtype` is that of the computation (autocast).
    """
    kept: dict[int, Any] = {}
    with FakeTensorMode():
        model = make.from_config(architecture, dtype=torch.float32).train()
        weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in weights:
                kept[storage._cdata] = storage
            return tensor

        ids = torch.zeros(rows, tokens, dtype=torch.long)
        with (
            saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", dtype, enabled=dtype != torch.float32),
        ):
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return sum(int(storage.nbytes()) for storage in kept.values())
