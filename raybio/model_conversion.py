"""Models in other formats -> plain folders of safetensors in raybio's cache, made once.

A GGUF file holds a whole model for llama.cpp. A pickle holds weights in a way that can run code: it is
opened here and nowhere else, only where somebody allowed it, and by torch's reader that takes tensors alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from raybio.errors import ModelError, first_line
from raybio.model_files import ADAPTER_WEIGHTS, INDEX, READ, WEIGHTS, is_adapter, pickled_weights
from raybio.model_identity import cache_folder, content_of
from raybio.storage import replace_folder

if TYPE_CHECKING:
    import torch

_INDEXES = ("pytorch_model.bin.index.json", INDEX)


def converted_gguf(name: str, gguf: Path) -> Path:
    """Return the Hugging Face folder made of a GGUF file: bf16 safetensors with its tokenizer.

    Raises:
        ModelError: the package `gguf`, which reads the format, is missing.
    """
    return made_once(f"{name}-{gguf.stem}", lambda folder: _convert_gguf(gguf, folder))


def converted_pickles(folder: Path) -> Path:
    """Return a copy of a model folder whose weights, pickles, are safetensors.

    Raises:
        ModelError: a pickle holds anything else than tensors, or cannot be read.
    """
    files = [*pickled_weights(folder), *sorted({path for pattern in READ for path in folder.glob(pattern)})]
    lines = "".join(f"{path.name} {content_of(path)}\n" for path in files)
    key = hashlib.sha256(lines.encode()).hexdigest()[:16]
    return made_once(f"{folder.name}-{key}", lambda draft: _convert_pickles(folder, draft))


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; the first process that wants it fills it."""
    folder = cache_folder() / "models" / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            with replace_folder(folder) as draft:
                make(draft)
    return folder


def _convert_gguf(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        # Kept quantized, it could not be saved.
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            trust_remote_code=False,
        )
    except ImportError as error:
        raise ModelError(f"{gguf.name} cannot be read: {error}. Run `pip install 'raybio[llm]'`") from error
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False).save_pretrained(
        folder
    )


def _convert_pickles(source: Path, folder: Path) -> None:
    from safetensors.torch import save_file

    for path in {path for pattern in READ for path in source.glob(pattern)}:
        if path.name not in _INDEXES and path.suffix != ".safetensors":
            shutil.copyfile(path, folder / path.name)
    pickles = pickled_weights(source)
    weight_map = {}
    for path in pickles:
        whole = ADAPTER_WEIGHTS if is_adapter(source) else WEIGHTS
        name = whole if len(pickles) == 1 else f"{path.stem}.safetensors"
        # Copies, since tensors that share memory are not written twice.
        tensors = {key: value.clone().contiguous() for key, value in _unpickled(path).items()}
        save_file(tensors, folder / name, {"format": "pt"})
        weight_map.update(dict.fromkeys(tensors, name))
    if len(pickles) > 1:
        index = {"metadata": {}, "weight_map": weight_map}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _unpickled(path: Path) -> dict[str, torch.Tensor]:
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file that claims to be a pickle can lead to
        reason = first_line(error)
        raise ModelError(
            f"{path} cannot be read: {reason}. Take a copy of the model that has safetensors"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise ModelError(
            f"{path} holds more than named tensors. Take a copy of the model that has safetensors"
        )
    return found
