"""Corpora in and out: one table of formats, one way to read, one way to write.

`read_corpus` yields Documents whatever the format; records that cannot be read go to
`on_rejected`, or end the reading with an error that says where and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, cast

from raybio.corpora.opening import open_bytes, write_bytes
from raybio.entities import Deletion, Document, Record, Rejected
from raybio.errors import FormatError, UsageError
from raybio.storage import is_url


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its file suffixes, and the module and functions that read and write it.

    `reader` and `writer` name functions of `raybio.corpora.<module>`, an empty name meaning
    that the format cannot be read or written. They take an open stream, or where
    `takes_path` is true (a folder, a file that is read out of order) the path itself.
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

    def write_stream(self, documents: Iterable[Document], stream: BinaryIO) -> None:
        """Write `documents` to an open stream; not for formats that take a path.

        Raises:
            FormatError: a document holds what the format cannot.
        """
        self._function(self.writer)(documents, stream)

    def _function(self, name: str) -> Callable[..., Any]:
        return cast("Callable[..., Any]", getattr(import_module(f"raybio.corpora.{self.module}"), name))


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("iob2", "words and tags in columns", (".tsv", ".iob2", ".bio", ".conll"), "bio_tsv"),
        Format("pubtator", "PubTator: title, abstract, mentions, relations", (".pubtator",), "pubtator"),
        Format("bioc-xml", "BioC in XML", (".bioc.xml",), "bioc_xml"),
        Format("bioc-json", "BioC in JSON", (".bioc.json",), "bioc_json"),
        Format("chemprot", "ChemProt's JSON lines of words and word offsets", (), "chemprot_json", writer=""),
        Format("pubmed", "PubMed's XML: citations, books, deletions", (".xml",), "pubmed_xml", writer=""),
        Format("jsonl", "JSON lines, lossless", (".jsonl",), "jsonl"),
        Format("text", "one plain text file, one document", (".txt",), "plain_text"),
        Format(
            "parquet",
            "Parquet, lossless",
            (".parquet",),
            "parquet",
            "read_path",
            "write_path",
            takes_path=True,
        ),
        Format(
            "brat",
            "a folder of .txt and .ann files",
            (),
            "brat",
            "read_folder",
            "write_folder",
            takes_path=True,
        ),
    )
}
"""Every format by name."""


def format_named(name: str) -> Format:
    """Return the format called `name`.

    Raises:
        UsageError: there is none; the message offers the nearest name.
    """
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name, FORMATS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"unknown format {name!r}.{hint} Formats: {', '.join(FORMATS)}")


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
        (len(end), entry.name) for entry in FORMATS.values() for end in entry.suffixes if name.endswith(end)
    ]
    if matches:
        return max(matches)[1]
    if name.endswith(".json") and "chemprot" in name:
        return "chemprot"
    raise UsageError(f"{path}: the name does not tell its format. Name one of: {', '.join(FORMATS)}")


def read_corpus(
    path: str,
    format: str | None = None,
    on_rejected: Callable[[Rejected], None] | None = None,
    on_deletion: Callable[[Deletion], None] | None = None,
    **options: Any,
) -> Iterator[Document]:
    """Yield the documents of a file, folder or URL.

    `format` is a name in `FORMATS`; None asks `format_of`. A record that cannot be read is
    passed to `on_rejected` and reading continues; without `on_rejected` it is raised. Deletion
    notices are passed to `on_deletion`, if given. `options` are the reader's own (iob2:
    `repair`, `labels`; chemprot: `protocol`; all: `max_record_bytes`).

    Raises:
        UsageError: the format is unknown or cannot be read (at the call, before any reading).
        InputError: nothing more can be read, or a record was rejected and nobody asked for it.
    """
    chosen = format_named(format or format_of(path))
    if not chosen.can_read:
        raise UsageError(f"{chosen.name} can be written but not read")
    return _documents(chosen.read_path(path, **options), on_rejected, on_deletion)


def write_corpus(documents: Iterable[Document], path: str, format: str | None = None) -> None:
    """Write `documents` to a file, folder or URL; a file appears only when it is complete.

    Raises:
        UsageError: the format is unknown or cannot be written.
        FormatError: a document holds what the format cannot.
    """
    chosen = format_named(format or format_of(path))
    if not chosen.can_write:
        raise UsageError(f"{chosen.name} can be read but not written")
    chosen.write_path(documents, path)


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
