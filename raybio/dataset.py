"""A Ray Dataset in, the same with mentions out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray.data
from ray.data import Dataset

from raybio.entities import Document
from raybio.errors import UsageError, first_line
from raybio.taggers import check_tagger
from raybio.taggers.checking import check_selection
from raybio.taggers.selection import Selection
from raybio.text_tagger import TextTagger, folder_of, load

MENTIONS = pa.list_(
    pa.struct(
        {
            "start": pa.int64(),
            "end": pa.int64(),
            "label": pa.string(),
            "text": pa.string(),
            "score": pa.float64(),
        }
    )
)
"""The type of the column `mentions`; offsets are code points of the row's text."""

_ADDED = ("mentions", "error")
_SELECTING: Mapping[str, Any] = {"entities": (), "min_score": 0.0, "rename": {}}


def tag_dataset(
    dataset: Dataset,
    *,
    model: str,
    text: str = "text",
    id: str | None = None,
    batch_size: int = 256,
    concurrency: int | tuple[int, int] = 1,
    num_cpus: float = 1,
    num_gpus: float = 0,
    **options: Any,
) -> Dataset:
    """Return `dataset` with two more columns: `mentions`, a list of structs, and `error`.

    `text` names the column to tag; a row without text has no mentions. A row that the model cannot tag has
    null for its mentions and the reason in `error`; all others have null there. Where `id` names a column,
    the reason begins with what that says of the row. `concurrency` is the number of processes that hold the
    model, or (fewest, most) of them; each has `num_cpus` and `num_gpus`, as in Ray's `map_batches`. `options`
    are those of `raybio.load`. Nothing is computed before the result is read.

    Raises:
        ModelError: there is no such model, or it cannot be used with these options.
        UsageError: the dataset has no column `text` or `id`, or has one of the two that are added; or the
            model has no such label.
        TypeError: an option is none of `raybio.load`.
    """
    signature(load).bind(model, **options)
    columns = dataset.columns() or []
    for missing in (name for name in (text, id) if columns and name and name not in columns):
        raise UsageError(f"the dataset has no column {missing!r}; it has {', '.join(map(repr, columns))}")
    if taken := [name for name in _ADDED if name in columns]:
        raise UsageError(f"the dataset has a column {taken[0]!r} already. Rename it")
    asked = {name: options[name] for name in ("precision", "decoding", "labels") if name in options}
    folder = folder_of(model, allow_pickle=options.get("allow_pickle", False))
    check_tagger(folder, **asked)
    chosen = (options.get(name, default) for name, default in _SELECTING.items())
    check_selection(folder, Selection(*chosen), options.get("labels"))
    # A folder by its whole path, since workers may stand elsewhere; other names each node resolves itself.
    name = str(folder) if Path(model).is_dir() else model
    return dataset.map_batches(
        _TagBatches,
        fn_constructor_args=(name, text, id, options),
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=_pool(concurrency),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )


def _pool(concurrency: int | tuple[int, int]) -> Any:
    if isinstance(concurrency, int):
        return ray.data.ActorPoolStrategy(size=concurrency)
    return ray.data.ActorPoolStrategy(min_size=concurrency[0], max_size=concurrency[1])


class _TagBatches:
    """A model in a process of its own, for one batch after another."""

    def __init__(self, model: str, text: str, id: str | None, options: Mapping[str, Any]) -> None:
        self._model, self._text, self._id, self._options = model, text, id, options

    @cached_property
    def _tagger(self) -> TextTagger:
        # Not in the constructor: Ray Data would start an actor that fails there again and again.
        return load(self._model, **self._options)

    def __call__(self, table: pa.Table) -> pa.Table:
        texts = ["" if value is None else str(value) for value in table[self._text].to_pylist()]
        found = self._tagged(texts)
        mentions = [None if isinstance(each, str) else _rows(each) for each in found]
        ids = [f"{name}: " for name in table[self._id].to_pylist()] if self._id else [""] * len(found)
        rows = zip(ids, found, strict=True)
        errors = [row + each if isinstance(each, str) else None for row, each in rows]
        table = table.append_column("mentions", pa.array(mentions, MENTIONS))
        return table.append_column("error", pa.array(errors, pa.string()))

    def _tagged(self, texts: list[str]) -> list[Document | str]:
        """Return each text tagged, or why it could not be."""
        try:
            return [*self._tagger(texts)]
        except Exception as error:  # a tagger may fail in any way; its other rows are not to be lost
            if len(texts) == 1:
                return [f"{type(error).__name__}: {first_line(error)}"]
            half = len(texts) // 2
            return self._tagged(texts[:half]) + self._tagged(texts[half:])


def _rows(document: Document) -> list[dict[str, Any]]:
    return [
        {"start": m.start, "end": m.end, "label": m.label, "text": m.text, "score": m.score}
        for m in document.mentions or ()
    ]
