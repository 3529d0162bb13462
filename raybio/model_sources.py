"""`bundled:NAME`, a Hugging Face id, a folder or a bucket's URL -> a checked local model folder.

A job on a cluster finds its model on the driver and gives its workers a `ModelReference`: a name, and what
must be found under it. Each node finds the model itself; no path into the driver's caches leaves the driver.

Weights are opened from safetensors only: a pickle can run code when it is loaded, so a model
that has nothing else is refused unless its config says `allow_pickle: true`. It is then copied
into safetensors, once, and the copy is what is used (see `raybio.model_conversion`).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from raybio.bundled_models import bundled_folder
from raybio.classifier_adapters import merged_classifier
from raybio.errors import ModelError, first_line
from raybio.filesystems import is_url
from raybio.model_conversion import converted_pickles
from raybio.model_fetching import fetched
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
from raybio.model_identity import cache_folder, fingerprint

_PICKLES = ["*.bin"]
_SNAPSHOTS = "snapshots"
"""The folder of the hub's cache in which each revision of a model has a folder of its own."""
_HUB_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model as a driver gives it to its workers, which find it on their own nodes.

    `name` is as in a config, a folder by its whole path. `fingerprint` is of what the driver found under it
    (not of what a node makes of that: a merged adapter's last bits depend on the CPU). `revision` is the
    commit that the hub gave the driver: a node that comes later gets the same.
    """

    name: str
    fingerprint: str
    revision: str | None = None
    allow_pickle: bool = False

    @classmethod
    def of(cls, name: str, *, allow_pickle: bool = False) -> ModelReference:
        """Return the reference to model `name`, found on this node.

        Raises:
            ModelError: as for `model_folder`.
        """
        source = _as_it_is(name, allow_pickle)
        revision = source.name if source.parent.name == _SNAPSHOTS else None
        return cls(name_anywhere(name), _identity(source, allow_pickle), revision, allow_pickle)

    def folder(self) -> Path:
        """Return the model's folder on this node, downloaded by the first process that asks for it.

        Raises:
            ModelError: this node has not got it and cannot get it, or finds another model under the name.
        """
        try:
            source = self._at_hand() or _as_it_is(self.name, self.allow_pickle, self.revision)
            if _identity(source, self.allow_pickle) != self.fingerprint:
                raise ModelError(
                    f"{self.name} is not the model that the job began with. Where it is a folder, give each "
                    "node the same, or name a hub id or a URL; where it was changed, start the job again"
                )
            return whole_classifier(source, allow_pickle=self.allow_pickle)
        except ModelError as error:
            raise ModelError(f"on node {socket.gethostname()}: {error}") from error

    def _at_hand(self) -> Path | None:
        """Return what this node has of the hub's revision, where that is all of it."""
        if self.revision is None:
            return None
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        with suppress(LocalEntryNotFoundError, ModelError):
            found = Path(snapshot_download(self.name, revision=self.revision, local_files_only=True))
            found = _checked(found, self.allow_pickle)
            if _identity(found, self.allow_pickle) == self.fingerprint:
                return found
        return None


def model_folder(name: str, *, allow_pickle: bool = False) -> Path:
    """Return the local folder of model `name`, absolute, downloading it where need be.

    Raises:
        ModelError: nothing is there, or its weights are pickles and `allow_pickle` is false.
    """
    return whole_classifier(_as_it_is(name, allow_pickle), allow_pickle=allow_pickle)


def name_anywhere(name: str) -> str:
    """Return a model's name as processes in other working folders find it: a folder by its whole path."""
    folder = Path(name).expanduser()
    return str(folder.absolute()) if folder.is_dir() else name


def whole_classifier(folder: Path, *, allow_pickle: bool = False) -> Path:
    """Return a model folder, or the one that a token classifier's adapter from elsewhere makes of its base.

    Raises:
        ModelError: the base is not at hand, or not the adapter's.
    """
    base = _base_of(folder, allow_pickle)
    return folder if base is None else merged_classifier(folder, base)


def _base_of(folder: Path, allow_pickle: bool) -> Path | None:
    """Return the base model of a token classifier's adapter from elsewhere, or None of any other model."""
    if not is_foreign_classifier(folder):
        return None
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
    return found


def _identity(source: Path, allow_pickle: bool) -> str:
    base = _base_of(source, allow_pickle)
    return fingerprint(source) + (f"-{fingerprint(base)}" if base else "")


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
    if name.startswith("bundled:") or is_url(name) or Path(name).expanduser().is_dir():
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


def _as_it_is(name: str, allow_pickle: bool, revision: str | None = None) -> Path:
    """Return the local folder of model `name`: an adapter's, too."""
    name = name.removeprefix("file://")
    if name.startswith("bundled:"):
        return _checked(bundled_folder(name.removeprefix("bundled:")), allow_pickle=False)
    if is_url(name):
        return _checked(fetched(name, _patterns(allow_pickle)), allow_pickle)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder.absolute(), allow_pickle)  # a worker may stand in another folder
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise ModelError(
            f"there is no model folder {name}. Name a folder, a hub id, a URL (s3://...) or bundled:NAME"
        )
    return _checked(_from_hub(name, allow_pickle, revision), allow_pickle)


def _from_hub(name: str, allow_pickle: bool, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    answers = hub_answers()  # else what is in its cache, at once: the client would try for long
    try:
        with _one_at_a_time(name):
            return Path(
                snapshot_download(
                    name,
                    revision=revision,
                    allow_patterns=_patterns(allow_pickle),
                    local_files_only=not answers,
                )
            )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = first_line(error) if answers else "it does not answer"
        raise ModelError(
            f"{name} is neither a folder here nor a model that the Hugging Face hub gave: {reason}. "
            "Check the name, the network and your access to it: a gated model needs HF_TOKEN"
        ) from error


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Have one process of a node ask the hub for a model: the others find what it downloaded."""
    locks = cache_folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / sha256(name.encode()).hexdigest()[:16]):
        yield


def _patterns(allow_pickle: bool) -> list[str]:
    return READ + (_PICKLES if allow_pickle else [])


def _checked(folder: Path, allow_pickle: bool) -> Path:
    if allow_pickle and not is_cascade(folder) and pickled_weights(folder):
        try:
            weights_files(folder)
        except ModelError:
            folder = converted_pickles(folder)
    inspect_model(folder)
    return folder
