"""The command `corpus convert`."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from raybio.cli.command_line import Commands, add_command, renames
from raybio.cli.terminal import say
from raybio.errors import FormatError, UsageError

if TYPE_CHECKING:
    from raybio.corpora import Format
    from raybio.entities import Document, Rejected

_REJECTED = "records rejected"
_UNWRITTEN = "documents rejected that could not be written"
_EMPTY = "documents without words left out"
_REPAIRED = "orphan I- tags made B-"
_DELETED = "deletion notices left out"
_MISALIGNED = "mentions that fit no words of one sentence exactly, or overlap a longer one"
_LEFT_OUT = (_DELETED, _EMPTY, _MISALIGNED)


@dataclass
class _Found:
    """What was counted: fates of records, losses by kind, documents by label scheme, and those passed on."""

    fates: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    schemes: Counter[str] = field(default_factory=Counter)
    passed: int = 0


def add_to(group: Commands) -> None:
    """Declare the command in the group `corpus`."""
    convert = add_command(group, "convert", _convert)
    convert.add_argument("input", metavar="INPUT", help="file, folder or URL to read")
    convert.add_argument("output", metavar="OUTPUT", help="file, folder or URL to write")
    convert.add_argument("--from", dest="source_format", metavar="F", help="format of INPUT")
    convert.add_argument(
        "--text", metavar="C,C,...", help="a table's columns of text, such as title,abstract"
    )
    convert.add_argument("--id", metavar="COLUMN", help="a table's column of ids; # = number the rows")
    convert.add_argument("--to", dest="target_format", metavar="F", help="format of OUTPUT")
    convert.add_argument(
        "--rejected",
        metavar="FILE",
        help="write what cannot be read or written there, as JSON lines; without it the first is an error",
    )
    convert.add_argument(
        "--strict",
        action="store_true",
        help="refuse a document of which the format of OUTPUT would lose something, which else is counted",
    )
    convert.add_argument(
        "--repair", action="store_true", help="iob2: make each I- that continues no entity a B-, and count"
    )
    convert.add_argument(
        "--rename", type=renames, default={}, metavar="A=B,...", help="call the label A B in OUTPUT"
    )


def _convert(options: Namespace) -> None:
    """Write a corpus in another format; formats are recognised by the names of the files.

    Formats: iob2 (.tsv .iob2 .bio .conll), pubtator (.pubtator), bioc-xml (.bioc.xml),
    bioc-json (.bioc.json), jsonl (.jsonl), parquet (.parquet), brat (a folder), csv (.csv: reads a
    table of texts, writes one of mentions); to read only: pubmed (.xml), medline (.nbib), chemprot
    (.json), text (.txt), arrow (.arrow .feather, a `datasets` folder). Any may end in .gz.
    """
    from raybio.corpora import format_named, format_of, input_format, read_corpus, write_corpus
    from raybio.corpora.losses import loss_lines
    from raybio.corpora.sentences import with_sentences
    from raybio.corpora.table import Columns

    columns = Columns(tuple(options.text.split(",")) if options.text else (), options.id or "")
    source = format_named(options.source_format or input_format(options.input, columns)).name
    target = format_named(options.target_format or format_of(options.output)).name
    if options.repair and source != "iob2":
        raise UsageError(f"--repair repairs IOB2 tags, and {options.input} is read as {source}. Leave it out")
    found = _Found()
    fates = found.fates
    with _kept(options.rejected, options.output, fates) as on_rejected:
        documents = read_corpus(
            options.input,
            source,
            on_rejected=on_rejected,
            on_deletion=lambda _: fates.update([_DELETED]),
            **({"repair": True} if options.repair else {}),
            **({"columns": columns} if columns != Columns() else {}),
        )
        if options.rename:
            documents = (document.with_labels(options.rename) for document in documents)
        documents = _noted(documents, found)
        if target == "iob2":
            documents = with_sentences(documents, on_misaligned=lambda _: fates.update([_MISALIGNED]))
        documents = _without_losses(documents, format_named(target), found, options.strict)
        write_corpus(documents, options.output, target, on_rejected)
    if source == "iob2":
        say(f"label scheme of {options.input}: {', '.join(sorted(found.schemes))}")
    say(f"documents written to {options.output} as {target}: {found.passed - fates[_UNWRITTEN]:,}")
    for fate, count in sorted(fates.items()):
        if count:
            say(f"{fate}: {count:,}")
    for line in loss_lines(target, found.lost):
        say(line)


@contextmanager
def _kept(path: str | None, output: str, fates: Counter[str]) -> Iterator[Callable[[Rejected], None] | None]:
    """Open `path` for rejected records; give what writes one there and counts it."""
    from raybio.corpora.opening import write_bytes

    if path is None:
        yield None
        return
    with write_bytes(path) as stream:

        def keep(record: Rejected) -> None:
            fates[_UNWRITTEN if record.source == output else _REJECTED] += 1
            stream.write(json.dumps(asdict(record), ensure_ascii=False).encode() + b"\n")

        yield keep


def _noted(documents: Iterable[Document], found: _Found) -> Iterator[Document]:
    """Yield `documents`, and count the schemes of their tags and what was repaired."""
    for document in documents:
        found.schemes[str(document.attributes.get("tag_scheme", "IOB2"))] += 1
        found.fates[_REPAIRED] += int(str(document.attributes.get("repaired_tags", "0")))
        yield document


def _without_losses(
    documents: Iterable[Document], target: Format, found: _Found, strict: bool
) -> Iterator[Document]:
    """Yield `documents`, and count them and what is lost of them in the format `target`.

    Raises:
        FormatError: it is something, and the conversion is `strict`.
    """
    remedy = "Choose another format, such as jsonl, or leave out --strict"
    for document in documents:
        lost = target.losses(document)
        if strict and lost:
            kinds = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(lost.items()))
            raise FormatError("output", f"document {document.id}", f"{target.name} holds no {kinds}", remedy)
        found.lost.update(lost)
        found.passed += 1
        yield document
    found.fates[_EMPTY] = found.schemes.total() - found.passed
    left_out = [f"{fate}: {count:,}" for fate in _LEFT_OUT if (count := found.fates[fate])]
    if strict and left_out:  # while nothing of the output is there yet
        raise FormatError("output", "", "; ".join(left_out), "Leave out --strict")
