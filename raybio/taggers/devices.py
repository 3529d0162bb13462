"""Where and in which number format a model computes: "auto" resolved against what is there."""

from __future__ import annotations

import torch


def pick_device(device: str) -> str:
    """Resolve "auto" to "cuda" where there is a GPU, else "cpu"; other names stay."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def accelerator() -> str | None:
    """Return this process's first GPU as its driver names it ("NVIDIA L4"), None where it has none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def computes_bf16(device: torch.device) -> bool:
    """Say whether `device` multiplies bf16 faster than fp32: most GPUs, and CPUs with instructions for it.

    Those are AMX (many times as fast) and AVX-512 bf16 (twice).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Resolve a precision to a dtype; "auto" is bf16 on a GPU that has it, else fp32."""
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and computes_bf16(device) else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
