"""The card of a model folder: what raybio must know besides the Hugging Face files, in `raybio.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from raybio.errors import ModelError
from raybio.storage import write_json
from raybio.versioned import check_version, read_record, versioned

CARD = "raybio.json"

_REMEDY = "Train the model again"

SomeCard = TypeVar("SomeCard")


def write_card(folder: Path, card: Mapping[str, Any], name: str = CARD) -> None:
    """Write a card, which says its `kind` among other things, into a model folder."""
    write_json(folder / name, versioned(card))


def read_card(folder: Path, card: type[SomeCard], name: str = CARD) -> SomeCard | None:
    """Return the `card`, a dataclass, of a model folder, or None where the model is not one of ours.

    Raises:
        ModelError: the card cannot be read, or only by a later raybio, or it is another model's.
    """
    path = folder / name
    return read_record(card, _held(path), str(path), ModelError, _REMEDY) if path.is_file() else None


def kind_of(folder: Path) -> str:
    """Return the kind of model in a folder: as its card says, or "encoder" where it has none."""
    path = folder / CARD
    fields = check_version(_held(path), str(path), ModelError, _REMEDY) if path.is_file() else {}
    return str(fields.get("kind", "encoder"))


def _held(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}). {_REMEDY}") from error
