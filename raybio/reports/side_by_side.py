"""Several tagged outputs side by side: what each found in the documents that all of them tagged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, reduce
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from raybio.corpora import read_corpus
from raybio.entities import Document, Mention
from raybio.reports import tables
from raybio.reports.blocks import Block, Chapter, Section, Table
from raybio.reports.sources import Tagging, pass_over
from raybio.reports.tagging_chapter import tagged_text

_ID = ["document_id", "version"]
_MENTION = [*_ID, "start", "end", "label"]
_FILE = "__filename"
_MAX_PAIRS = 6
_SHOWN = 3


class _Output:
    """The tables of one tagged output, and what it is called beside the others."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._path = path

    @cached_property
    def documents(self) -> pa.Table:
        """The documents that were tagged."""
        tagged = pc.field("fate").isin(["tagged", "without text"])
        return _distinct(self._table("documents").to_table(columns=_ID, filter=tagged), _ID)

    def mentions(self, documents: pa.Table) -> pa.Table:
        """Return the mentions of these documents, each once."""
        found = self._table("mentions").to_table(columns=_MENTION)
        return _distinct(found.join(documents, _ID, join_type="left semi"), _MENTION)

    def document(self, identity: str, version: int) -> Document | None:
        """Return a document with its mentions, where the output keeps the text."""
        wanted = (pc.field("document_id") == identity) & (pc.field("version") == version)
        files = self._table("documents").to_table(columns=[_FILE], filter=wanted)[_FILE].to_pylist()
        for name, suffix in (("jsonl", "jsonl"), ("pubtator", "pubtator")):
            for shard in {Path(file).stem for file in files}:
                path = self._path / name / f"{shard}.{suffix}"
                found = read_corpus(str(path), name, pass_over) if path.is_file() else iter(())
                if document := next((each for each in found if each.id == identity), None):
                    return replace(document, mentions=tuple(self._own(identity, version)))
        return None

    def _own(self, identity: str, version: int) -> Iterator[Mention]:
        wanted = (pc.field("document_id") == identity) & (pc.field("version") == version)
        columns = ["start", "end", "label", "text"]
        for row in self._table("mentions").to_table(columns=columns, filter=wanted).to_pylist():
            yield Mention(**row)

    def _table(self, folder: str) -> ds.Dataset:
        return ds.dataset(str(self._path / folder), format="parquet")


def side_by_side_chapter(taggings: Sequence[Tagging]) -> Chapter:
    """Say what several outputs have in common of the documents that all of them tagged."""
    paths = [tagging.path for tagging in taggings]
    names = [path.name for path in paths]
    outputs = [
        _Output(path, path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}")
        for path in paths
    ]
    return Chapter("Taggings side by side", (), (Section("What they found", tuple(_blocks(outputs))),))


def _blocks(outputs: Sequence[_Output]) -> Iterator[Block]:
    common = reduce(
        lambda left, right: left.join(right, _ID, join_type="left semi"), [o.documents for o in outputs]
    )
    if not common.num_rows:
        yield "They have no document in common, by id and version: there is nothing to compare."
        return
    found = [output.mentions(common) for output in outputs]
    yield _counts(outputs, found, common.num_rows)
    pairs = list(combinations(range(len(outputs)), 2))
    for one, other in pairs[:_MAX_PAIRS]:
        yield _agreement(outputs[one].name, found[one], outputs[other].name, found[other])
    if len(pairs) > _MAX_PAIRS:
        yield f"Of {len(pairs)} pairs only the first {_MAX_PAIRS} are shown."
    for identity, version in _most_different(found):
        documents = [output.document(identity, version) for output in outputs]
        texts = {document.text for document in documents if document}
        if len(texts) > 1:
            yield f"The text of document {identity} is not the same in all: its offsets do not compare."
        for output, document in zip(outputs, documents, strict=True):
            if document and len(texts) == 1:
                yield tagged_text(f"Document {identity}, by {output.name}", document)


def _counts(outputs: Sequence[_Output], found: Sequence[pa.Table], documents: int) -> Table:
    counted = [_by_label(table) for table in found]
    labels = sorted({label for counts in counted for label in counts})
    rows = [(label, *(f"{counts[label]:,}" for counts in counted)) for label in labels]
    rows.append(("all", *(f"{counts.total():,}" for counts in counted)))
    return Table(
        caption=f"Mentions in the {documents:,} documents that all have tagged",
        header=("label", *(output.name for output in outputs)),
        rows=tuple(rows),
        notes=("Documents are the same where their id and version are.",),
        strong=frozenset({len(rows) - 1}),
    )


def _agreement(one: str, of_one: pa.Table, other: str, of_other: pa.Table) -> Table:
    both = _by_label(of_one.join(of_other, _MENTION, join_type="left semi"))
    first, second = _by_label(of_one), _by_label(of_other)
    rows = []
    for label in [*sorted(first | second), "all"]:
        common, ours, theirs = (
            counts.total() if label == "all" else counts[label] for counts in (both, first, second)
        )
        agreement = tables.percent(2 * common / (ours + theirs)) if ours + theirs else tables.ABSENT
        rows.append((label, f"{common:,}", f"{ours - common:,}", f"{theirs - common:,}", agreement))
    return Table(
        caption=f"{one} and {other}: the same words with the same label",
        header=("label", "both", f"only {one}", f"only {other}", "agreement"),
        rows=tuple(rows),
        notes=("Agreement is F1, in percent, of either one as if the other were gold.",),
        bars=frozenset({4}),
        strong=frozenset({len(rows) - 1}),
    )


def _most_different(found: Sequence[pa.Table]) -> list[tuple[str, int]]:
    """Return the documents with the most mentions that not all have."""
    counted = pa.concat_tables(found).group_by(_MENTION).aggregate([([], "count_all")])
    apart = counted.filter(pc.field("count_all") < len(found))
    by_document = apart.group_by(_ID).aggregate([([], "count_all")])
    order = [("count_all", "descending"), ("document_id", "ascending")]
    rows = by_document.sort_by(order).slice(0, _SHOWN).to_pylist()
    return [(row["document_id"], row["version"]) for row in rows]


def _by_label(mentions: pa.Table) -> Counter[str]:
    counted = mentions.group_by("label").aggregate([([], "count_all")]).to_pylist()
    return Counter({row["label"]: row["count_all"] for row in counted})


def _distinct(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    return table.group_by(list(columns)).aggregate([])
