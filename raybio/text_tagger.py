"""A model that is called with text: what `raybio.load` returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, overload

from raybio.corpora.sentences import split_document, with_mentions
from raybio.corpora.sniffing import IDS
from raybio.corpora.table import ROW_NUMBER, Columns, RowReader
from raybio.entities import Document
from raybio.errors import UsageError
from raybio.model_sources import model_folder
from raybio.taggers import Tagger, load_tagger, place_mentions
from raybio.taggers.selection import ALL, Selection

_TOGETHER = 256
"""Documents whose sentences are sorted by length together."""

Text = str | Document
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8", "4bit"]


def load(
    model: str | Path,
    *,
    precision: Precision = "auto",
    threads: int | None = None,
    max_batch_tokens: int | None = None,
    decoding: Mapping[str, Any] | None = None,
    labels: Mapping[str, str | None] | None = None,
    allow_pickle: bool = False,
    entities: Sequence[str] = (),
    min_score: float | Mapping[str, float] = 0.0,
    rename: Mapping[str, str] | None = None,
) -> TextTagger:
    """Load a model that tags text, on a GPU where there is one.

    `model` is a run folder of raybio, a model folder, a Hugging Face id or "bundled:NAME". `precision`,
    `decoding` (an LLM's mode and draft) and `labels` (what a token classifier's outputs stand for) are as in
    a config; `threads` bounds the computing threads on a CPU, `max_batch_tokens` what is read in one pass. Of
    what the model finds, the labels `entities` (empty: all) are kept where their score is `min_score` or more
    (one for all, or by label), and called what `rename` says.

    Raises:
        ModelError: there is no such model, or nothing that tags, or not at this precision.
        UsageError: the model has no such label.
    """
    return TextTagger(
        load_tagger(
            folder_of(model, allow_pickle=allow_pickle),
            precision=precision,
            threads=threads,
            max_batch_tokens=max_batch_tokens,
            decoding=decoding,
            labels=labels,
        ),
        Selection(tuple(entities), min_score, rename or {}),
    )


def folder_of(model: str | Path, *, allow_pickle: bool = False) -> Path:
    """Return the folder of a model, which may be given by its run folder.

    Raises:
        ModelError: there is no such model.
    """
    of_run = Path(model) / "model"
    return model_folder(str(of_run if of_run.is_dir() else model), allow_pickle=allow_pickle)


class TextTagger:
    """Tags text: `tagger("...")` gives a Document, `tagger(["...", "..."])` a list of them, in order.

    So it does of a batch of a Ray Dataset (a dict of columns, a pandas or an Arrow table), row by row: its
    columns are found by their names, as `corpora.table` has it, and rows without ids are numbered.
    """

    def __init__(self, tagger: Tagger, selection: Selection = ALL) -> None:
        selection.check(tagger.labels)
        self.tagger = tagger
        self._selection = selection

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity labels that documents get, sorted."""
        return self._selection.names(self.tagger.labels)

    @overload
    def __call__(self, text: Text) -> Document: ...  # type: ignore[overload-overlap]  # text is iterable

    @overload
    def __call__(self, text: Iterable[Text]) -> list[Document]: ...

    def __call__(self, text: Text | Iterable[Text]) -> Document | list[Document]:
        """Return what was tagged, with its mentions: offsets count code points of the document's text.

        Mentions that a Document came with are replaced, and relations between them left out. Words and
        sentences that it brings are kept, with what was found as their spans; else its text is split.

        Raises:
            UsageError: it is neither text nor a Document.
            ColumnsError: it is a batch, and no column is called text, title or abstract.
        """
        if isinstance(text, Text):
            return next(self.stream([text]))
        return list(self.stream(text))

    def stream(self, texts: Iterable[Text]) -> Iterator[Document]:
        """Yield the documents of `texts` in order, tagged, with some hundred in memory at a time.

        Raises:
            UsageError: `texts` is one text, or holds what is neither text nor a Document.
        """
        if isinstance(texts, Text):
            raise UsageError("found one text; give several, or call the tagger with it")
        documents = _documents(texts)
        while together := list(islice(documents, _TOGETHER)):
            yield from self._tagged(together)

    def _tagged(self, documents: Sequence[Document]) -> Iterator[Document]:
        split = [split_document(replace(document, mentions=None)) for document in documents]
        tags = iter(self.tagger.tag([sentence for sentences in split for sentence in sentences]))
        for document, sentences in zip(documents, split, strict=True):
            own = [next(tags) for _ in sentences]
            yield with_mentions(document, self._selection.of(place_mentions(document, sentences, own)))


def _documents(texts: Iterable[Any]) -> Iterator[Document]:
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        return _of_batch(texts)
    if not isinstance(texts, Iterable):
        raise _no_text(texts)
    return map(_document, texts)


def _of_batch(batch: Any) -> Iterator[Document]:
    """Yield the documents of a table, which "batch" is called in messages."""
    import pyarrow as pa

    try:
        table = pa.table(dict(batch) if isinstance(batch, Mapping) else batch)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UsageError(f"found {type(batch).__name__} that is no table ({error}); give columns") from error
    names = table.column_names
    has_ids = any(name.lower() in IDS for name in names)
    reader = RowReader(names, Columns(id="" if has_ids else ROW_NUMBER), "the batch")
    for number, row in enumerate(table.to_pylist(), start=1):
        try:
            yield reader.document(row, number)
        except ValueError as error:
            raise UsageError(f"row {number} of the batch: {error}") from error


def _document(text: Any) -> Document:
    if isinstance(text, Document):
        return text
    if isinstance(text, str):
        return Document("", text)
    if hasattr(text, "as_py"):  # of a column of Arrow's
        return _document(text.as_py())
    raise _no_text(text)


def _no_text(found: object) -> UsageError:
    return UsageError(f"found {type(found).__name__}; give text or a raybio.Document, or several of them")
