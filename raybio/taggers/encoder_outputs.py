"""What the outputs of a token classifier stand for, as its `id2label` says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raybio.errors import ModelError
from raybio.label_schemes import LabelScheme, UnknownSchemeError, recognise
from raybio.model_files import read_object


def scheme_of(config: Any, folder: Path, labels: Mapping[str, str | None] | None = None) -> LabelScheme:
    """Return the label scheme of a classifier's outputs, by `id2label` and what `labels` says of them.

    Raises:
        ModelError: outputs have no name, or the names are of no scheme; it names those that do not fit.
    """
    names = _output_names(config, folder)
    try:
        return recognise(names, labels)
    except UnknownSchemeError as error:
        raise ModelError(
            f"{folder} gives tags that cannot be read, {', '.join(error.misfits)}: {error.problem}. Say what "
            "they stand for in `model_labels`, such as {LABEL_1: B-Disease, OTHER: O}"
        ) from error


def _output_names(config: Any, folder: Path) -> list[str]:
    """Return the name of each output of a classifier, by its number."""
    source = folder / "config.json"
    # Names that transformers would give them itself it leaves out.
    id2label = read_object(source).get("id2label", {str(i): name for i, name in config.id2label.items()})
    if not isinstance(id2label, dict) or not id2label:
        raise ModelError(f"id2label in {source} is not an object that names outputs. Correct it")
    wanted = [str(i) for i in range(len(id2label))]
    if set(id2label) != set(wanted):
        raise ModelError(
            f"id2label in {source} numbers its {len(id2label)} outputs "
            f"{', '.join(sorted(id2label)[:8])}, not 0 "
            f"to {len(id2label) - 1}. Correct it by the model's training code"
        )
    names = [id2label[i] for i in wanted]
    for name in names:
        if not isinstance(name, str):
            raise ModelError(f"id2label in {source} names an output {name!r}, which is no text. Correct it")
    if len(names) != config.num_labels:
        raise ModelError(
            f"{source} is of a classifier with {config.num_labels} outputs, and its id2label names "
            f"{len(names)}. "
            "Fetch the model again"
        )
    return names
