"""A tagged shard -> its output files.

mentions/SHARD.parquet    one row a mention (`corpora.parquet.MENTION_SCHEMA`)
documents/SHARD.parquet   one row a record: its outcome
FORMAT/SHARD.SUFFIX       the annotated documents, for each further format asked for (brat: a folder)
rejected/SHARD.jsonl      what was rejected, if anything was
malformed/SHARD.jsonl     what an LLM wrote that could not be read, if anything (`tagging.MalformedLine`)
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from raybio.bulk_tagging.output_folder import OutputFolder
from raybio.bulk_tagging.shards import Shard
from raybio.bulk_tagging.tagging import MalformedLine, TaggedDocuments, reject
from raybio.corpora import format_named
from raybio.corpora.csv_table import kept_name, kept_value
from raybio.corpora.parquet import mention_table, with_strings
from raybio.corpora.sentences import with_sentences
from raybio.entities import Document, Rejected
from raybio.errors import FormatError

_RECORD_COLUMNS: dict[str, pa.DataType] = {
    "document_id": pa.string(),
    "version": pa.int32(),
    "fate": pa.string(),
    "mentions": pa.int32(),
    "source": pa.string(),
}
RECORD_SCHEMA = pa.schema(_RECORD_COLUMNS)
"""`fate` is "tagged", "without text", "rejected" or "deleted"."""


class WrittenShard(NamedTuple):
    """A shard's files, path -> {"bytes", "sha256"}, and how many rejected records are in them.

    `lost` is what each format has no place for: how many of each kind.
    """

    files: dict[str, dict[str, Any]]
    rejected: int
    lost: dict[str, dict[str, int]]


class ShardFiles:
    """Writes the files of shards into an output folder and says what it wrote."""

    def __init__(
        self,
        output: str,
        formats: Sequence[str],
        model: str,
        config_hash: str,
        keep: Sequence[str] = (),
        skipped: Collection[str] = (),
    ) -> None:
        """`keep` names attributes of the documents that travel along into the tables.

        `skipped` are the kinds of passages that were not tagged: columns of words leave them out.
        """
        self._output = OutputFolder(output)
        self._keep = keep
        self._skipped = skipped
        self._formats = [name for name in formats if name != "parquet"]
        self._model = model
        self._config_hash = config_hash

    def write(self, shard: Shard, tagged: TaggedDocuments) -> WrittenShard:
        """Write a shard's files, each whole.

        A document that one of the formats cannot hold is left out of that format alone, and
        said so in a rejected record; the other outputs have it. What the shard had when it was
        written before, and has no more, is removed.
        """
        rejected = [*shard.rejected, *tagged.rejected]
        files: dict[str, dict[str, Any]] = {}
        lost: dict[str, dict[str, int]] = {}
        for name in self._formats:
            documents = tagged.documents
            if name == "iob2":
                documents = list(with_sentences(documents, self._skipped))
            if documents:
                content, held, unheld = _held(name, documents, shard.file.path, self._keep)
                rejected += unheld
                files |= self._put_format(name, shard, content)
                lost[name] = _lost(name, held, self._keep)
            else:  # nothing but deletions or rejected records, or no words for columns of them
                self._output.remove(_path(name, shard))
            if without := len(tagged.documents) - len(documents):
                lost.setdefault(name, {})["documents without words"] = without
        table = mention_table(tagged.documents, self._model, self._config_hash, self._keep)
        records = _records(shard, tagged, [*shard.rejected, *tagged.rejected], self._keep)
        contents = {
            f"mentions/{shard.name}.parquet": _parquet(table),
            f"documents/{shard.name}.parquet": _parquet(records),
        }
        files |= {path: self._put(path, content) for path, content in contents.items()}
        for folder, lines in (("rejected", rejected), ("malformed", tagged.malformed)):
            path = f"{folder}/{shard.name}.jsonl"
            if lines:
                files[path] = self._put(path, _lines(shard, lines))
            else:
                self._output.remove_file(path)
        return WrittenShard(files, len(rejected), {name: kinds for name, kinds in lost.items() if kinds})

    def _put_format(self, name: str, shard: Shard, content: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
        """Write one format's files; a folder is one entry, hashed over its files in order of name."""
        path = _path(name, shard)
        if not format_named(name).takes_path:
            return {path: self._put(path, content[""])}
        for file, each in content.items():
            self._put(f"{path}/{file}", each)
        for file in self._output.names(path):
            if file not in content:
                self._output.remove(f"{path}/{file}")
        whole = b"".join(content.values())
        return {path: {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}}

    def _put(self, path: str, content: bytes) -> dict[str, Any]:
        with self._output.writing(path) as stream:
            stream.write(content)
        return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _path(name: str, shard: Shard) -> str:
    """Return where a shard's file of a format goes, or its folder."""
    entry = format_named(name)
    return f"{name}/{shard.name}{'' if entry.takes_path else entry.suffixes[0]}"


def _held(
    name: str, documents: Sequence[Document], source: str, keep: Sequence[str]
) -> tuple[dict[str, bytes], Sequence[Document], list[Rejected]]:
    """Return what a format makes of `documents`, those that it can hold, and why it cannot hold the others.

    The file names in a folder are keys; a format that is one file has the key "".
    """
    try:
        return _written(name, documents, keep), documents, []
    except FormatError:
        held: list[Document] = []
        unheld: list[Rejected] = []
        for document in documents:
            try:
                # With those before it: some documents fit alone and not together (one id twice).
                _written(name, [*(other for other in held if other.id == document.id), document], keep)
                held.append(document)
            except FormatError as error:
                reason = f"the output format {name} cannot hold it: {error.problem}"
                remedy = "Its mentions are in the other outputs; leave this format out, or take it from them"
                unheld.append(reject(document, source, reason, remedy))
        return _written(name, held, keep), held, unheld


def _written(name: str, documents: Sequence[Document], keep: Sequence[str]) -> dict[str, bytes]:
    entry = format_named(name)
    if not entry.takes_path:
        buffer = io.BytesIO()
        entry.write_stream(documents, buffer, **_options(name, keep))
        return {"": buffer.getvalue()}
    with tempfile.TemporaryDirectory() as draft:
        entry.write_path(documents, draft)
        return {file.name: file.read_bytes() for file in sorted(Path(draft).iterdir())}


def _lost(name: str, documents: Sequence[Document], keep: Sequence[str]) -> dict[str, int]:
    """Return what a format leaves out of `documents`: how many of each kind."""
    lost: Counter[str] = Counter()
    for document in documents:
        lost += format_named(name).losses(document, **_options(name, keep))
    return dict(lost)


def _options(name: str, keep: Sequence[str]) -> dict[str, Any]:
    return {"keep": keep} if name == "csv" else {}


def _records(
    shard: Shard, tagged: TaggedDocuments, rejected: Sequence[Rejected], keep: Sequence[str]
) -> pa.Table:
    source = shard.file.source
    rows = [
        *(
            (d.id, d.version, "tagged" if d.text else "without text", len(d.mentions or ()), source, *kept)
            for d in tagged.documents
            for kept in [[kept_value(d, name) for name in keep]]
        ),
        *((r.document_id, None, "rejected", 0, source) for r in rejected),
        *((d.document_id, d.version, "deleted", 0, source) for d in shard.deletions),
    ]
    schema = with_strings(RECORD_SCHEMA, [kept_name(name, RECORD_SCHEMA.names) for name in keep])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=False)) for row in rows], schema=schema)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _lines(shard: Shard, rejected: Sequence[Rejected | MalformedLine]) -> bytes:
    records = ({"shard": shard.name, **asdict(record)} for record in rejected)
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode(
        # Half a character, which JSON can say and UTF-8 cannot: JSON's own escape for it.
        errors="backslashreplace"
    )
