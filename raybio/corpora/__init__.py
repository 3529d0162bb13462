"""Corpora in and out: one table of formats, one way to read, one way to write.

`read_corpus` yields Documents whatever the format; records that cannot be read go to
`on_rejected`, or end the reading with an error that says where and what to do.
"""

from __future__ import annotations

import difflib
import io
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from raybio import plugins
from raybio.corpora import sniffing
from raybio.corpora.opening import open_bytes, write_bytes
from raybio.entities import Deletion, Document, Record, Rejected
from raybio.errors import FormatError, InputError, UsageError
from raybio.storage import is_url

if TYPE_CHECKING:
    from raybio.corpora.table import Columns

logger = logging.getLogger(__name__)

TABLES = ("csv", "arrow", "parquet", "jsonl")
"""Formats that read a table of texts, whose reader takes `columns` (see `table`)."""

_HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its file suffixes, and the module and functions that read and write it.

    `reader` and `writer` name functions of `module`, which is imported when one of them is first used; an
    empty name means that the format cannot be read or written. A reader takes an open binary stream, the
    name to give in messages, and options as keywords (`max_record_bytes` in jobs), and yields Records;
    a writer takes documents and an open stream. Where `takes_path` is true (a folder, a file that is read
    out of order) both take the path itself, and a function `check(document)` of the module may refuse
    what cannot be written. A function `losses(document)` counts what is left out of it, by kind (see
    `losses.parts_of`); a module without one is taken to lose nothing.
    """

    name: str
    description: str
    suffixes: tuple[str, ...]
    module: str
    reader: str = "read"
    writer: str = "write"
    takes_path: bool = False

    @property
    def can_read(self) -> bool:
        """Whether `read_path` works."""
        return bool(self.reader)

    @property
    def can_write(self) -> bool:
        """Whether `write_path` works."""
        return bool(self.writer)

    def read_path(self, path: str, **options: Any) -> Iterator[Record]:
        """Yield the records of the file, folder or URL `path`; `options` go to the reader.

        Every reader takes `max_record_bytes`, the size (see `limits`) of the largest record read. A larger
        one is Rejected, or ends the reading where nothing can be read behind it.

        Raises:
            InputError: the file cannot be opened, or not be read on.
        """
        read = self._function(self.reader)
        if self.takes_path:
            yield from read(path, **options)
        else:
            with open_bytes(path) as stream:
                yield from read(stream, path, **options)

    def write_path(self, documents: Iterable[Document], path: str) -> None:
        """Write `documents` to the file, folder or URL `path`.

        Raises:
            FormatError: a document holds what the format cannot.
        """
        if self.takes_path:
            self._function(self.writer)(documents, path)
        else:
            with write_bytes(path) as stream:
                self.write_stream(documents, stream)

    def write_stream(self, documents: Iterable[Document], stream: BinaryIO, **options: Any) -> None:
        """Write `documents` to an open stream; not for formats that take a path.

        `options` go to the writer (csv: `keep`).

        Raises:
            FormatError: a document holds what the format cannot.
        """
        self._function(self.writer)(documents, stream, **options)

    def losses(self, document: Document, **options: Any) -> Counter[str]:
        """Return what is left out of `document` when it is written with `options`: how many of each kind."""
        count = getattr(import_module(self.module), "losses", None)
        return Counter() if count is None else count(document, **options)

    def check(self, document: Document) -> None:
        """Refuse a document that cannot be written, alone at least.

        Raises:
            FormatError: says why not.
        """
        if not self.takes_path:
            self.write_stream([document], io.BytesIO())
        elif check := getattr(import_module(self.module), "check", None):
            check(document)

    def _function(self, name: str) -> Callable[..., Any]:
        return cast("Callable[..., Any]", getattr(import_module(self.module), name))


_BUILT_IN = (
    Format("iob2", "words and tags in columns", (".tsv", ".iob2", ".bio", ".conll"), f"{__name__}.bio_tsv"),
    Format("pubtator", "title, abstract, mentions, relations", (".pubtator",), f"{__name__}.pubtator"),
    Format("bioc-xml", "BioC in XML", (".bioc.xml",), f"{__name__}.bioc_xml"),
    Format("bioc-json", "BioC in JSON", (".bioc.json",), f"{__name__}.bioc_json"),
    Format("chemprot", "JSON lines of words and word offsets", (), f"{__name__}.chemprot_json", writer=""),
    Format("pubmed", "citations, books, deletions", (".xml",), f"{__name__}.pubmed_xml", writer=""),
    Format("medline", "as PubMed saves it", (".nbib", ".medline"), f"{__name__}.medline", writer=""),
    Format("jsonl", "JSON lines, lossless", (".jsonl",), f"{__name__}.jsonl"),
    Format("text", "one plain text file, one document", (".txt",), f"{__name__}.plain_text"),
    Format("csv", "reads a table of texts, writes one of mentions", (".csv",), f"{__name__}.csv_table"),
    Format("arrow", "a table of texts", (".arrow", ".feather"), f"{__name__}.arrow_table", writer=""),
    Format("parquet", "lossless", (".parquet",), f"{__name__}.parquet", "read_path", "write_path", True),
    Format("brat", "a folder of .txt and .ann", (), f"{__name__}.brat", "read_folder", "write_folder", True),
)


_SEVERAL = (".txt", ".xml", ".json")
"""Suffixes, in small letters, of files that may be in one of several formats."""


@cache
def formats() -> dict[str, Format]:
    """Return every format by name: raybio's own, then those that installed packages add under other names."""
    added = plugins.load_all(plugins.FORMATS)
    return {**{each.name: each for each in _BUILT_IN}, **_checked(added)}


def _checked(added: Mapping[str, object]) -> dict[str, Format]:
    taken = {each.name for each in _BUILT_IN}
    good = {}
    for name, found in added.items():
        if name in taken or not isinstance(found, Format) or found.name != name:
            logger.warning(
                "the format %r of an installed package is left out: it is no raybio.corpora.Format of that "
                "name, or the name is one of raybio's own",
                name,
            )
        else:
            good[name] = found
    return good


def format_named(name: str) -> Format:
    """Return the format called `name`.

    Raises:
        UsageError: there is none; the message offers the nearest name.
    """
    if name in formats():
        return formats()[name]
    near = difflib.get_close_matches(name, formats(), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"unknown format {name!r}.{hint} Formats: {', '.join(formats())}")


def format_inside(path: str) -> str:
    """Return the format of a local file or folder that is to be read, by what it holds where that tells.

    PubTator, MEDLINE or XML that is saved as `.txt` is none of plain text, and `.xml` and `.json` may be
    several; other suffixes, and URLs, are taken at their word, as `format_of` has it.

    Raises:
        UsageError: neither the file nor its name tells.
    """
    name = path.lower().removesuffix(".gz")
    by_name = any(name.endswith(end) for entry in formats().values() for end in entry.suffixes)
    if not is_url(path) and Path(path).is_file() and (name.endswith(_SEVERAL) or not by_name):
        with suppress(InputError), open_bytes(path) as stream:
            if found := sniffing.format_inside(stream.read(sniffing.LOOKED_AT)):
                return found
    return format_of(path)


def format_of(path: str) -> str:
    """Return the name of the format that `path` looks like: by folder, suffix, or "ChemProt" in its name.

    A trailing `.gz` and the case of letters do not count; the longest suffix wins.

    Raises:
        UsageError: the path does not tell; the message says how to name the format.
    """
    name = path.lower().removesuffix(".gz")
    if path.endswith("/") or (not is_url(path) and Path(path).is_dir()):
        return "brat"
    matches = [
        (len(end), entry.name) for entry in formats().values() for end in entry.suffixes if name.endswith(end)
    ]
    if matches:
        return max(matches)[1]
    if name.endswith(".json") and "chemprot" in name:
        return "chemprot"
    raise UsageError(f"{path}: the name does not tell its format. Name one of: {', '.join(formats())}")


def input_format(path: str, columns: Columns | None = None) -> str:
    """Return the name of the format in which the input at `path` is read, as `format_inside` says.

    A `.tsv` file is looked into, since tables have that name too; with `columns` all are tables.

    Raises:
        UsageError: the name does not tell, or `columns` are named of what is no table.
        InputError: the file cannot be opened.
    """
    name = format_inside(path)
    named = columns is not None and bool(columns.text or columns.id)
    if name == "iob2" and path.lower().removesuffix(".gz").endswith(".tsv") and (named or _is_table(path)):
        return "csv"
    if named and name not in TABLES:
        raise UsageError(f"{path} is read as {name}, which has no columns to name. Leave --text and --id out")
    return name


def _is_table(path: str) -> bool:
    from raybio.corpora.csv_table import looks_like_a_table

    with open_bytes(path) as stream:
        return looks_like_a_table(stream.read(_HEAD_BYTES).decode("utf-8-sig", "replace"))


def read_corpus(
    path: str,
    format: str | None = None,
    on_rejected: Callable[[Rejected], None] | None = None,
    on_deletion: Callable[[Deletion], None] | None = None,
    **options: Any,
) -> Iterator[Document]:
    """Yield the documents of a file, folder or URL.

    `format` is a name in `formats()`; None asks `input_format`. A record that cannot be read is
    passed to `on_rejected` and reading continues; without `on_rejected` it is raised. Deletion
    notices are passed to `on_deletion`, if given. `options` are the reader's own (iob2:
    `repair`, `labels`; chemprot: `protocol`; those of `TABLES`: `columns`; all: `max_record_bytes`).

    Raises:
        UsageError: the format is unknown or cannot be read (at the call, before any reading).
        InputError: nothing more can be read, or a record was rejected and nobody asked for it.
    """
    chosen = format_named(format or input_format(path, options.get("columns")))
    if not chosen.can_read:
        raise UsageError(f"{chosen.name} can be written but not read")
    return _documents(chosen.read_path(path, **options), on_rejected, on_deletion)


def write_corpus(
    documents: Iterable[Document],
    path: str,
    format: str | None = None,
    on_rejected: Callable[[Rejected], None] | None = None,
) -> None:
    """Write `documents` to a file, folder or URL; a file appears only when it is complete.

    A document that the format cannot hold is passed to `on_rejected`, if given, and the others are written.

    Raises:
        UsageError: the format is unknown or cannot be written.
        FormatError: a document holds what the format cannot, and nobody asked for it.
    """
    chosen = format_named(format or format_of(path))
    if not chosen.can_write:
        raise UsageError(f"{chosen.name} can be read but not written")
    chosen.write_path(_held(documents, chosen, path, on_rejected) if on_rejected else documents, path)


def _held(
    documents: Iterable[Document], chosen: Format, path: str, on_rejected: Callable[[Rejected], None]
) -> Iterator[Document]:
    """Yield the documents that a format can hold."""
    from raybio.corpora.jsonl import document_to_json

    for document in documents:
        try:
            chosen.check(document)
        except InputError as error:
            try:
                raw = document_to_json(document)
            except FormatError:  # no format could hold it
                raw = repr(document)
            place = f"document {document.id}"
            on_rejected(Rejected(path, place, error.problem, error.remedy, document.id, raw))
        else:
            yield document


def _documents(
    records: Iterable[Record],
    on_rejected: Callable[[Rejected], None] | None,
    on_deletion: Callable[[Deletion], None] | None,
) -> Iterator[Document]:
    for record in records:
        if isinstance(record, Document):
            yield record
        elif isinstance(record, Deletion):
            if on_deletion:
                on_deletion(record)
        elif on_rejected:
            on_rejected(record)
        else:
            raise FormatError(record.source, record.place, record.reason, record.remedy)
