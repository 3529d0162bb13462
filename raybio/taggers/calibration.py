"""Sentences that travel with a model, so that it can be quantized where it is used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.storage import write_text

_FILE = "calibration.json"
_SENTENCES = TypeAdapter(Annotated[list[list[str]], Field(min_length=1)])


def write_calibration(folder: Path, sentences: Sequence[Sentence]) -> None:
    """Write the words of some training sentences into a model folder."""
    words = [list(sentence.words) for sentence in sentences]
    write_text(folder / _FILE, json.dumps(words, ensure_ascii=False) + "\n")


def read_calibration(folder: Path) -> list[list[str]]:
    """Return the words of a model folder's calibration sentences.

    Raises:
        ModelError: the folder has none, or they are not lists of words.
    """
    path = folder / _FILE
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {_FILE}, which int8 needs. Train the model with raybio, or write that "
            "file: a JSON list of some dozens of sentences, each a list of words"
        )
    try:
        return _SENTENCES.validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise ModelError(
            f"{path} is not a JSON list of sentences, each a list of words: {problem}"
        ) from error
