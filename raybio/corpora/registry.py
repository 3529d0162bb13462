"""The table of formats: raybio's own, and those that installed packages add."""

from __future__ import annotations

import difflib
import io
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, BinaryIO, cast

from raybio import plugins
from raybio.corpora.opening import open_bytes, write_bytes
from raybio.entities import Document, Record
from raybio.errors import UsageError

logger = logging.getLogger(__name__)

TABLES = ("csv", "arrow", "parquet", "jsonl")
"""Formats that read a table of texts, whose reader takes `columns` (see `table`)."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its file suffixes, and the module and functions that read and write it.

    `reader` and `writer` name functions of `module`, which is imported when one of them is first used; an
    empty name means that the format cannot be read or written. A reader takes an open binary stream, the
    name to give in messages, and options as keywords (`max_record_bytes` in jobs), and yields Records;
    a writer takes documents and an open stream. Where `takes_path` is true (a folder, a file that is read
    out of order) both take the path itself, and a function `check(document)` of the module may refuse
    what cannot be written. A function `losses(document)` counts what is left out of it, by kind (see
    `losses.parts_of`); a module without one is taken to lose nothing. Where `unique_ids` is true, two
    documents of one id cannot be written.
    """

    name: str
    description: str
    suffixes: tuple[str, ...]
    module: str
    reader: str = "read"
    writer: str = "write"
    takes_path: bool = False
    unique_ids: bool = False

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
    Format(
        "iob2", "words and tags in columns", (".tsv", ".iob2", ".bio", ".conll"), "raybio.corpora.bio_tsv"
    ),
    Format("pubtator", "title, abstract, mentions, relations", (".pubtator",), "raybio.corpora.pubtator"),
    Format("bioc-xml", "BioC in XML", (".bioc.xml",), "raybio.corpora.bioc_xml"),
    Format("bioc-json", "BioC in JSON", (".bioc.json",), "raybio.corpora.bioc_json"),
    Format("chemprot", "JSON lines of words and word offsets", (), "raybio.corpora.chemprot_json", writer=""),
    Format("pubmed", "citations, books, deletions", (".xml",), "raybio.corpora.pubmed_xml", writer=""),
    Format("medline", "as PubMed saves it", (".nbib", ".medline"), "raybio.corpora.medline", writer=""),
    Format("jsonl", "JSON lines, lossless", (".jsonl",), "raybio.corpora.jsonl"),
    Format("text", "one plain text file, one document", (".txt",), "raybio.corpora.plain_text"),
    Format("csv", "reads a table of texts, writes one of mentions", (".csv",), "raybio.corpora.csv_table"),
    Format("arrow", "a table of texts", (".arrow", ".feather"), "raybio.corpora.arrow_table", writer=""),
    Format("parquet", "lossless", (".parquet",), "raybio.corpora.parquet", "read_path", "write_path", True),
    Format(
        "brat",
        "a folder of .txt and .ann",
        (),
        "raybio.corpora.brat",
        "read_folder",
        "write_folder",
        takes_path=True,
        unique_ids=True,
    ),
)


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
