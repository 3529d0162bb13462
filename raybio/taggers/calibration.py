"""Sentences that travel with a model, so that it can be quantized where it is used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from raybio.entities import Sentence
from raybio.errors import ModelError

_FILE = "calibration.json"


def write_calibration(folder: Path, sentences: Sequence[Sentence]) -> None:
    """Write the words of some training sentences into a model folder."""
    words = [list(sentence.words) for sentence in sentences]
    (folder / _FILE).write_text(json.dumps(words, ensure_ascii=False) + "\n", encoding="utf-8")


def read_calibration(folder: Path) -> list[list[str]]:
    """Return the words of a model folder's calibration sentences.

    Raises:
        ModelError: the folder has none.
    """
    path = folder / _FILE
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {_FILE}, which int8 needs. Train the model with raybio, or write that "
            "file: a JSON list of some dozens of sentences, each a list of words"
        )
    sentences: list[list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return sentences
