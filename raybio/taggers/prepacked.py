"""Linear layers whose weights lie in memory as oneDNN multiplies them: for bf16 on CPUs, inference only.

oneDNN lays a bf16 weight out anew in each call, which for the few tokens that an LLM reads at a time
costs about as much as the product. `torch.compile` does the same when it freezes a model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raybio.taggers.devices import computes_bf16

# How many tokens oneDNN shall choose the layout for; it serves any number.
_TOKENS = 128


class PrepackedLinear(nn.Module):
    """Computes what `linear` does, to rounding. It cannot be trained or saved."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _TOKENS)
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (..., out) for hidden states (..., in)."""
        return torch.ops.mkldnn._linear_pointwise(hidden, self._weight, self._bias, "none", [], "")


def prepack(layers: nn.Module) -> None:
    """Replace each bf16 linear layer inside `layers` that lies on a CPU which multiplies bf16 fast."""
    if not (torch.backends.mkldnn.is_available() and computes_bf16(torch.device("cpu"))):
        return
    for parent in list(layers.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear and child.weight.dtype == torch.bfloat16 and child.weight.is_cpu:
                setattr(parent, name, PrepackedLinear(child))
