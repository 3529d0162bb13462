"""The card of a model folder: what raybio must know besides the Hugging Face files, in `raybio.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from raybio.errors import ModelError

CARD = "raybio.json"

SomeCard = TypeVar("SomeCard")


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write a card, which says its `kind` among other things, into a model folder."""
    (folder / CARD).write_text(json.dumps(dict(card), indent=2) + "\n", encoding="utf-8")


def read_card(folder: Path, make: Callable[..., SomeCard]) -> SomeCard | None:
    """Return `make` of what a model folder's card says, or None where the model is not one of ours.

    Raises:
        ModelError: the card cannot be read, or is not what `make` takes.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        return make(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is not such a model's card: {error}. Train the model again") from error


def kind_of(folder: Path) -> str:
    """Return the kind of model in a folder: as its card says, or "encoder" where it has none."""
    return read_card(folder, lambda kind="encoder", **_: str(kind)) or "encoder"
