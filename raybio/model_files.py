"""What is opened of a model folder, and what is wrong with it: seen before any library reads it.

A folder comes from somebody else. Weights are opened from safetensors alone, which hold numbers and
nothing that runs, whatever a config names; code that comes with a model is never run. Files that are
damaged are found here by their headers, so that the fault is one line and not a library's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from raybio import plugins
from raybio.errors import ModelError

READ = ["*.json", "*.txt", "*.model", "*.safetensors", "*.jinja"]
"""The files of a model folder that count: all else is neither downloaded nor opened."""
CARD = "raybio.json"
CASCADE = "cascade.json"
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_CONFIG = "config.json"
_LFS = b"version https://git-lfs"
_PICKLE_MAGIC = (b"PK\x03\x04", b"\x80")
_MAX_HEADER_BYTES = 100_000_000  # as the safetensors library has it
_OTHER_WEIGHTS = [
    "*.safetensors",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.h5",
    "*.msgpack",
    "*.gguf",
    "*.onnx",
]
_TENSOR_BITS = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
}


def is_adapter(folder: Path) -> bool:
    """Say whether a model folder holds an adapter, which is nothing without its base model."""
    return (folder / ADAPTER).is_file()


def is_foreign_classifier(folder: Path) -> bool:
    """Say whether a folder holds an adapter that PEFT saved of a token classifier, elsewhere."""
    return (
        is_adapter(folder)
        and not (folder / CARD).is_file()
        and read_object(folder / ADAPTER).get("task_type") == "TOKEN_CLS"
    )


def is_cascade(folder: Path) -> bool:
    """Say whether a model folder is a cascade's, which names two models and has no weights of its own."""
    return (folder / CASCADE).is_file()


def added_kind(folder: Path) -> str | None:
    """Return the kind of a model that another installed package tags with, or None of raybio's own."""
    kind = _kind(folder)
    return kind if kind in plugins.names(plugins.TAGGERS) else None


def _kind(folder: Path) -> str:
    """Return the kind that a folder's card says, or "": a damaged card is refused by who reads it."""
    try:
        return str(read_object(folder / CARD).get("kind", ""))
    except ModelError:
        return ""


def inspect_model(folder: Path) -> None:
    """See that a model folder holds what it should, and nothing that would run.

    Raises:
        ModelError: names the file, what is wrong with it and what to do.
    """
    added = added_kind(folder)
    if added is None and not any((folder / name).is_file() for name in (_CONFIG, ADAPTER, CASCADE)):
        kind = _kind(folder)
        added_by = f". Its {CARD} is of kind {kind!r}: install the package that adds it" if kind else ""
        of_run = folder / "model"
        hint = f". It is the folder of a run; its model is {of_run}" if (of_run / _CONFIG).is_file() else ""
        raise ModelError(
            f"{folder} has no config.json: it is not a Hugging Face model folder{added_by}{hint}"
        )
    for pattern in READ:
        for path in folder.glob(pattern):
            _refuse_pointer(path)
    for name in (_CONFIG, ADAPTER, "tokenizer_config.json", "generation_config.json"):
        if (folder / name).is_file():
            read_object(folder / name)
    if is_cascade(folder) or added is not None:
        return
    _refuse_code(folder)
    for path in weights_files(folder):
        read_header(path)


def weights_files(folder: Path) -> list[Path]:
    """Return the safetensors files that hold a model's weights, or an adapter's.

    Raises:
        ModelError: there are none, or the names of other files stand for them.
    """
    if is_adapter(folder):
        kind = read_object(folder / ADAPTER).get("peft_type")
        if kind != "LORA":
            raise ModelError(
                f"{folder / ADAPTER} is of an adapter of type {kind}, and raybio reads LORA alone"
            )
        if not (folder / ADAPTER_WEIGHTS).is_file():
            raise ModelError(_no_weights(folder, ADAPTER_WEIGHTS))
        return [folder / ADAPTER_WEIGHTS]
    named = read_object(folder / _CONFIG).get("transformers_weights")
    name = named or (WEIGHTS if (folder / WEIGHTS).is_file() else INDEX)
    if named:
        _check_name(folder / _CONFIG, named, (".safetensors", ".safetensors.index.json"))
    elif not (folder / name).is_file():
        raise ModelError(_no_weights(folder, WEIGHTS))
    if name.endswith(".index.json"):
        return _indexed(folder / name)
    return [folder / name]


def pickled_weights(folder: Path) -> list[Path]:
    """Return the pickles that would be a model's weights, or an adapter's, had they been safetensors."""
    if is_adapter(folder):
        return sorted(folder.glob("adapter_model.bin"))
    return sorted(folder.glob("pytorch_model*.bin"))


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a model folder.

    Raises:
        ModelError: it holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing. Fetch the model again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}. Fetch the model again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds a JSON {type(found).__name__}, not an object. Fetch the model again")
    return found


def read_header(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Return the (number format, shape) of each tensor in a safetensors file, from its header alone.

    Raises:
        ModelError: the file is missing, cut off, a pointer of Git LFS, a pickle, or otherwise broken.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            text = file.read(length) if length <= min(size, _MAX_HEADER_BYTES) else b""
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}. Fetch the model again") from error
    if start.startswith(_LFS[:8]):
        _refuse_pointer(path)
    if start.startswith(_PICKLE_MAGIC) and not text.startswith(b"{"):
        raise ModelError(
            f"{path} is a pickle that is called safetensors: it is not opened. Fetch the model again"
        )
    if len(text) < length or length < 2:
        raise ModelError(_broken(path, f"cut off in its header, after {size:,} bytes"))
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        tensors = {name: (one["dtype"], one["shape"], one["data_offsets"]) for name, one in header.items()}
        sizes = {name: _tensor_bytes(*one) for name, one in tensors.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(_broken(path, f"its header is not that of safetensors ({error!r})")) from error
    wanted = 8 + length + sum(sizes.values())
    if size != wanted:
        found = "cut off" if size < wanted else "too long"
        raise ModelError(
            _broken(path, f"{found}: it has {size:,} bytes, and its header speaks of {wanted:,}")
        )
    return {name: (dtype, shape) for name, (dtype, shape, _) in tensors.items()}


def _tensor_bytes(dtype: str, shape: list[int], offsets: list[int]) -> int:
    start, end = offsets
    size = prod(shape) * _TENSOR_BITS[dtype] // 8
    if not 0 <= start <= end or end - start != size or min(shape, default=0) < 0:
        raise ValueError(f"{dtype} of shape {shape} in bytes {start} to {end}")
    return size


def _indexed(index: Path) -> list[Path]:
    """Return the files that an index names, each of which holds the tensors that it should."""
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, Mapping) or not weight_map:
        raise ModelError(f"{index} is no index of weights: it has no weight_map. Fetch the model again")
    held: dict[str, Mapping[str, Any]] = {}
    for tensor, name in weight_map.items():
        _check_name(index, name, (".safetensors",))
        if name not in held:
            held[name] = read_header(index.parent / name)
        if tensor not in held[name]:
            raise ModelError(
                f"{index} says that {tensor} is in {name}, which lacks it. Fetch the model again"
            )
    return [index.parent / name for name in sorted(held)]


def _check_name(source: Path, name: object, endings: tuple[str, ...]) -> None:
    """See that what `source` names as weights is a safetensors file of its own folder."""
    if not isinstance(name, str) or not name.endswith(endings):
        raise ModelError(
            f"{source} names {name!r} as weights. Only safetensors are opened: take a copy of the model that "
            "has them"
        )
    if Path(name).name != name or "\\" in name:
        raise ModelError(f"{source} names {name!r} as weights: that is outside the model's folder. Remove it")


def _refuse_code(folder: Path) -> None:
    """Refuse a config that would have code fetched and run: transformers takes attention from hub kernels."""
    for name in (_CONFIG, "generation_config.json"):
        path = folder / name
        for key, value in _strings(read_object(path) if path.is_file() else {}):
            if "attn_implementation" in key and "/" in value:
                raise ModelError(
                    f"{path} asks for code from elsewhere ({key}: {value}), which is never run. Remove {key}"
                )


def _strings(data: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text in JSON data with the nearest key above it."""
    if isinstance(data, str):
        yield key, data
    elif isinstance(data, Mapping):
        for name, value in data.items():
            yield from _strings(value, key if "attn_implementation" in key else name)
    elif isinstance(data, list):
        for value in data:
            yield from _strings(value, key)


def _refuse_pointer(path: Path) -> None:
    if not path.is_file():
        return
    with path.open("rb") as file:
        if file.read(len(_LFS)) == _LFS:
            raise ModelError(
                f"{path} is a pointer of Git LFS, not the file itself. Run `git lfs pull` in the "
                "model's folder, "
                "or download the model from the hub"
            )


def _no_weights(folder: Path, wanted: str) -> str:
    found = sorted({path.name for pattern in _OTHER_WEIGHTS for path in folder.glob(pattern)})
    holds = f"it holds {', '.join(found)}" if found else "it holds no weights at all"
    variants = [
        name for name in found if name.startswith(wanted.partition(".")[0]) and name.endswith(".safetensors")
    ]
    if wanted in found:
        return f"{folder / wanted} is no file: a folder, or a link that leads nowhere. Fetch the model again"
    if pickled_weights(folder):
        advice = (
            "Pickled weights can run code when loaded: take a copy that has safetensors, or say "
            "`allow_pickle: true` (`raybio tag --allow-pickle`) if you trust their source"
        )
    elif len(variants) == 1 and variants[0] != INDEX:
        advice = f"If these are the weights to use, rename {variants[0]} to {wanted}"
    else:
        advice = "Fetch the model again, or save it with `save_pretrained`"
    return f"{folder} has no safetensors weights ({wanted}): {holds}. {advice}"


def _broken(path: Path, problem: str) -> str:
    return f"{path} is broken: {problem}. Fetch the model again"
