"""Where and in which number format a model computes: "auto" resolved against what is there."""

from __future__ import annotations

import torch


def pick_device(device: str) -> str:
    """Resolve "auto" to "cuda" where there is a GPU, else "cpu"; other names stay."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Resolve a precision to a dtype; "auto" is bf16 on a GPU that has it, else fp32."""
    if precision == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bf16 else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
