"""A tagged shard -> its output files and its ledger entry.

    mentions/SHARD.parquet    one row a mention (`corpora.parquet.MENTION_SCHEMA`)
    documents/SHARD.parquet   one row a record: what became of it
    FORMAT/SHARD.SUFFIX       the annotated documents, for each further format asked for
    rejected/SHARD.jsonl      what was rejected, if anything was
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raybio.bulk_tagging.shards import Shard
from raybio.bulk_tagging.tagging import TaggedDocuments
from raybio.corpora import FORMATS
from raybio.corpora.opening import write_bytes
from raybio.corpora.parquet import mention_table
from raybio.entities import Rejected

RECORD_SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("version", pa.int32()),
        ("fate", pa.string()),
        ("mentions", pa.int32()),
        ("source", pa.string()),
    ]
)
"""`fate` is "tagged", "without text", "rejected" or "deleted"."""

_SUFFIXES = {
    "pubtator": ".pubtator",
    "bioc-xml": ".bioc.xml",
    "bioc-json": ".bioc.json",
    "jsonl": ".jsonl",
    "brat": "",
}


class ShardFiles:
    """Writes the files of shards into an output folder and says what it wrote."""

    def __init__(self, output: str, formats: Sequence[str], model: str, config_hash: str) -> None:
        self._output = output.rstrip("/")
        self._formats = [name for name in formats if name != "parquet"]
        self._model = model
        self._config_hash = config_hash

    def write(self, shard: Shard, tagged: TaggedDocuments) -> dict[str, dict[str, Any]]:
        """Write a shard's files, each whole; return {path: {"bytes", "sha256"}}."""
        rejected = [*shard.rejected, *tagged.rejected]
        table = mention_table(tagged.documents, self._model, self._config_hash)
        files = {
            f"mentions/{shard.name}.parquet": _parquet(table),
            f"documents/{shard.name}.parquet": _parquet(_records(shard, tagged, rejected)),
        }
        if rejected:
            files[f"rejected/{shard.name}.jsonl"] = _lines(rejected)
        written = {path: self._put(path, content) for path, content in files.items()}
        for name in self._formats:
            written |= self._format(name, shard, tagged)
        return written

    def _format(self, name: str, shard: Shard, tagged: TaggedDocuments) -> dict[str, dict[str, Any]]:
        path = f"{name}/{shard.name}{_SUFFIXES[name]}"
        entry = FORMATS[name]
        if entry.takes_path:
            entry.write_path(tagged.documents, f"{self._output}/{path}")
            return {path: {}}
        buffer = io.BytesIO()
        entry.write_stream(tagged.documents, buffer)
        return {path: self._put(path, buffer.getvalue())}

    def _put(self, path: str, content: bytes) -> dict[str, Any]:
        with write_bytes(f"{self._output}/{path}") as stream:
            stream.write(content)
        return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _records(shard: Shard, tagged: TaggedDocuments, rejected: Sequence[Rejected]) -> pa.Table:
    rows = [
        *(
            (d.id, d.version, "tagged" if d.text else "without text", len(d.mentions or ()))
            for d in tagged.documents
        ),
        *((r.document_id, None, "rejected", 0) for r in rejected),
        *((d.document_id, d.version, "deleted", 0) for d in shard.deletions),
    ]
    names = RECORD_SCHEMA.names
    return pa.Table.from_pylist(
        [dict(zip(names, (*row, shard.file.path), strict=True)) for row in rows], schema=RECORD_SCHEMA
    )


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _lines(rejected: Sequence[Rejected]) -> bytes:
    return "".join(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in rejected).encode()
