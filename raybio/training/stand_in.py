"""A model folder at full size with random weights: what a rehearsal trains in place of a download.

Weights are written file by file, so that no more than one file's are in memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from raybio.model_files import INDEX

_FILE_BYTES = 2**30
_BLOCK = 2**22 - 3  # no row's length divides it: rows differ
_DEVIATION = 0.02  # what most architectures begin from (`initializer_range`)

Shapes = dict[str, tuple[torch.Size, torch.dtype]]


def write_stand_in(folder: Path, make: Any, architecture: Any, tokenizer: Any, dtype: torch.dtype) -> None:
    """Write a model folder of a Hugging Face config's full size, as transformers would save it.

    `make` is the Auto class that the job loads; a head that the job makes new is left out. `dtype` is
    that of the weights: normal numbers, a few millions that are repeated; norms are ones and biases zeros.
    """
    with torch.device("meta"):
        model = make.from_config(architecture)
    folder.mkdir(parents=True, exist_ok=True)
    config = deepcopy(architecture)
    config.dtype = dtype
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, name, getattr(tokenizer, name))
    config.architectures = config.architectures or [type(model).__name__]
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weight_map: dict[str, str] = {}
    block = torch.empty(_BLOCK).normal_(0.0, _DEVIATION, generator=torch.Generator().manual_seed(0))
    for number, shapes in enumerate(_files(_shapes(model, dtype)), start=1):
        name = f"model-{number:05}.safetensors"
        save_file(
            {tensor: _weights(tensor, *shape, block) for tensor, shape in shapes.items()},
            folder / name,
            metadata={"format": "pt"},
        )
        weight_map |= dict.fromkeys(shapes, name)
    total = sum((folder / name).stat().st_size for name in set(weight_map.values()))
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")


def _shapes(model: Any, dtype: torch.dtype) -> Shapes:
    """Return what a folder of `model` holds: shared weights once, and no classifier, which is new anyway."""
    new_head = "TokenClassification" in type(model).__name__
    body = f"{model.base_model_prefix}."
    seen: set[int] = set()
    shapes: Shapes = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) in seen or (new_head and not name.startswith(body)):
            continue
        seen.add(id(tensor))
        shapes[name] = (tensor.shape, dtype if tensor.is_floating_point() else tensor.dtype)
    return shapes


def _files(shapes: Shapes) -> Iterator[Shapes]:
    """Yield the tensors of one file after another."""
    held: Shapes = {}
    size = 0
    for name, (shape, dtype) in shapes.items():
        size += prod(shape) * dtype.itemsize
        if held and size > _FILE_BYTES:
            yield held
            held, size = {}, prod(shape) * dtype.itemsize
        held[name] = (shape, dtype)
    if held:
        yield held


def _weights(name: str, shape: torch.Size, dtype: torch.dtype, block: torch.Tensor) -> torch.Tensor:
    if len(shape) < 2:
        return torch.full(shape, 1 if name.endswith("weight") else 0, dtype=dtype)
    count = prod(shape)
    return block.to(dtype).repeat(-(-count // _BLOCK))[:count].view(shape)
