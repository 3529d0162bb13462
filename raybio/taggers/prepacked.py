"""Linear layers as oneDNN likes them best: for inference on CPUs only.

A weight lies in memory as it is multiplied. oneDNN lays a bf16 weight out again in each call
otherwise, which for the few tokens that an LLM reads at a time costs about as much as the product.
Where a GELU follows, as in each block of a BERT, it is computed while the product is still at hand,
and not in a pass of its own over memory. `torch.compile` does both when it freezes a model.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers.activations import GELUActivation

from raybio.taggers.devices import computes_bf16

# How many tokens oneDNN shall choose the layout for; it serves any number.
_TOKENS = 128


class PrepackedLinear(nn.Module):
    """Computes what `linear` and then `activation` do, to rounding. It cannot be trained or saved."""

    def __init__(self, linear: nn.Linear, activation: Literal["none", "gelu"] = "none") -> None:
        super().__init__()
        # Under the names of `nn.Linear`: T5 looks at the weight's dtype.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _TOKENS)
        self.bias = None if linear.bias is None else linear.bias.detach()
        # "none" is the name of the exact GELU too: not approximated by a tanh.
        self._activation: tuple[Any, ...] = (activation, [], "none" if activation == "gelu" else "")

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (..., out) for hidden states (..., in)."""
        return torch.ops.mkldnn._linear_pointwise(hidden, self.weight, self.bias, *self._activation)


def prepack(layers: nn.Module, *dtypes: torch.dtype) -> None:
    """Replace each linear layer of `dtypes` inside `layers` that lies on a CPU which multiplies them fast."""
    for parent in list(layers.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear and child.weight.dtype in dtypes and _can_be_packed(child):
                fused = name == "dense" and _exact_gelu(getattr(parent, "intermediate_act_fn", None))
                setattr(parent, name, PrepackedLinear(child, "gelu" if fused else "none"))
                if fused:
                    parent.intermediate_act_fn = nn.Identity()


def _can_be_packed(linear: nn.Linear) -> bool:
    slow = linear.weight.dtype == torch.bfloat16 and not computes_bf16(linear.weight.device)
    return torch.backends.mkldnn.is_available() and linear.weight.is_cpu and not slow


def _exact_gelu(module: object) -> bool:
    """Say whether `module` is what BERT's blocks have between their two linear layers."""
    exact = type(module) is nn.GELU and module.approximate == "none"
    return exact or (type(module) is GELUActivation and module.act is nn.functional.gelu)
