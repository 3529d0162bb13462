"""Which model a folder holds: fingerprints over all of its content, which cost once.

There are two, since two questions are asked. `fingerprint` says whether a folder *computes* the same, so
each byte of each file that counts is in it. `weights_fingerprint` says whether weights are the same
*numbers*, for an adapter that is to find its base again: a copy in other files or another precision is.

Both hash every tensor whole. What a large file came to is remembered in the cache folder, under the file's
size, times and inode, until one of these changes.

Fingerprints had 16 digits before, and looked at a part of each file. Outputs, cascades and adapters that
have one of those are still compared by it (`is_fingerprint_of`, `are_weights_of`); no new ones are made.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from raybio.errors import StorageError
from raybio.model_files import READ, WEIGHTS
from raybio.storage import write_text

_DIGITS = 32
_REMEMBERED_BYTES = 1 << 20  # smaller files are hashed as fast as looked up
_SETTLED_SECONDS = 2  # a file that was written just now may change again at the same time
_OLD_DIGITS = 16
_OLD_BYTES = 1 << 20
_OLD_NUMBERS = 64


def cache_folder() -> Path:
    """Return where raybio keeps what it derives from models: $RAYBIO_CACHE, or raybio in the user's cache."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("RAYBIO_CACHE") or user / "raybio")


def fingerprint(folder: Path) -> str:
    """Return 32 hexadecimal digits that change with what a model folder computes.

    Each file that raybio reads counts, by its name and its whole content. What is derived from them (an
    int8 form) and what is never opened (pickles, a README) does not.
    """
    digest = hashlib.sha256()
    for path in sorted({path for pattern in READ for path in folder.glob(pattern) if path.is_file()}):
        digest.update(f"{path.name}\0{content_of(path)}\n".encode())
    return digest.hexdigest()[:_DIGITS]


def is_fingerprint_of(known: str, folder: Path) -> bool:
    """Say whether `known`, which may be of an earlier raybio, is the fingerprint of a model folder."""
    return known == (earlier_fingerprint(folder) if len(known) == _OLD_DIGITS else fingerprint(folder))


def content_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal digits."""
    return _remembered(path, "content", _content)


def weights_fingerprint(folder: Path) -> str:
    """Return 32 hexadecimal digits that tell a model's weights from others; "" where it has no safetensors.

    Each tensor counts by its name, shape and all of its numbers, read as bf16: a copy in other files, or
    in bf16 instead of fp32, is the same model.
    """
    files = _weights(folder)
    lines = sorted(line for file in files for line in _remembered(file, "numbers", _numbers).splitlines())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_DIGITS] if files else ""


def are_weights_of(known: str, folder: Path) -> bool:
    """Say whether `known`, which may be of an earlier raybio, is the fingerprint of a model's weights.

    Where there is none to compare, or the folder has no safetensors, they are taken to be.
    """
    found = _old_weights_fingerprint(folder) if len(known) == _OLD_DIGITS else weights_fingerprint(folder)
    return not (known and found) or known == found


def checked_once(folders: Sequence[Path], check: Callable[[], None], options: object = None) -> None:
    """Call `check` on model folders, but not again where they passed it with these `options` and no file of
    theirs has changed since.

    Nor has raybio itself, or transformers: another version may say something else.
    """
    files = sorted(path.resolve() for each in folders for pattern in READ for path in each.glob(pattern))
    versions = [importlib.metadata.version(name) for name in ("raybio", "transformers")]
    state = "\n".join([*versions, repr(options), *(f"{path}\0{_state(path)}" for path in files)])
    note = cache_folder() / "checked" / hashlib.sha256(state.encode()).hexdigest()[:_DIGITS]
    if not note.is_file():
        check()
        with suppress(StorageError):
            write_text(note, "\n".join(map(str, folders)) + "\n")


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob(WEIGHTS.replace(".", "*.")))


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _numbers(path: Path) -> str:
    """Return a line for each tensor of a safetensors file: its name, shape and a hash of its numbers."""
    import torch
    from safetensors import safe_open

    lines = []
    with safe_open(path, "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118
            tensor = tensors.get_tensor(name)
            if tensor.is_floating_point():
                tensor = tensor.to(torch.bfloat16)
            held = tensor.contiguous().flatten().view(torch.uint8).numpy()
            lines.append(f"{name} {list(tensor.shape)} {hashlib.sha256(held).hexdigest()}")
    return "\n".join(lines)


def _remembered(path: Path, what: str, compute: Callable[[Path], str]) -> str:
    """Return `compute` of a file: as it was remembered, where the file has not changed since."""
    path = path.resolve()
    if path.stat().st_size < _REMEMBERED_BYTES:
        return compute(path)
    state = _state(path)
    key = hashlib.sha256(f"{what}\0{path}".encode()).hexdigest()
    note = cache_folder() / "fingerprints" / f"{key[:_DIGITS]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["state"] == state:
            return str(known["found"])
    found = compute(path)
    if state == _state(path) and time.time() - path.stat().st_ctime > _SETTLED_SECONDS:
        with suppress(StorageError):  # a cache that cannot be written costs time only
            write_text(note, json.dumps({"file": str(path), "state": state, "found": found}))
    return found


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


# The fingerprints of before: to know models again, and never to make new ones.


def earlier_fingerprint(folder: Path) -> str:
    """Return the fingerprint that an earlier raybio gave a model folder: 16 digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.suffix == ".lock":
            continue
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_OLD_BYTES))
            file.seek(max(0, path.stat().st_size - _OLD_BYTES))
            digest.update(file.read())
    return digest.hexdigest()[:_OLD_DIGITS]


def _old_weights_fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for line in sorted(line for file in _weights(folder) for line in _old_numbers(file)):
        digest.update(line.encode())
    return digest.hexdigest()[:_OLD_DIGITS] if _weights(folder) else ""


def _old_numbers(file: Path) -> Iterator[str]:
    import torch
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118
            shape = tensors.get_slice(name).get_shape()
            first = tensors.get_slice(name)[:1] if shape else tensors.get_tensor(name)
            numbers = first.flatten()[:_OLD_NUMBERS].to(torch.bfloat16).tolist()
            yield f"{name} {shape} {numbers}\n"
