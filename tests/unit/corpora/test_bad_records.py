"""One bad record costs one record, in every format; what is no file is refused before it is opened."""

import json
import os
import socket
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raybio.bulk_tagging.inputs import InputFile, find_inputs
from raybio.bulk_tagging.shards import read_shards
from raybio.corpora import format_named, read_corpus
from raybio.corpora.parquet import DOCUMENT_SCHEMA, document_table
from raybio.entities import Document, Mention, Passage, Rejected
from raybio.errors import AccessError, FormatError


def read(format: str, path: Path) -> tuple[list[str], list[Rejected]]:
    records = list(format_named(format).read_path(str(path)))
    documents = [record.id for record in records if isinstance(record, Document)]
    return documents, [record for record in records if isinstance(record, Rejected)]


_DEPTHS = (200, 900, 950, 986, 995, 3_000, 100_000)
JSON_FAULTS = {
    **{f"nested {depth} deep": b"[" * depth + b"]" * depth for depth in _DEPTHS},
    "not UTF-8": b'"\xff"',
    "half a pair": b'"\\ud800"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "a huge number": b"9" * 5_000,
    "a name twice": b'{"a": 1, "a": 2}',
    "no JSON": b"oops",
    "a bracket of another kind": b"[}",
    "two values": b"1 2",
}
SHAPES = {
    "jsonl": b'{"id": "%b", "text": "a", "attributes": {"x": %b}}\n',
    "chemprot": b'{"doc_key": "%b", "sentences": [["a"]], "ner": [[]], "x": %b}\n',
    "bioc-json": b'{"id": "%b", "passages": [{"offset": 0, "text": "a", "infons": {"x": %b}}]}\n',
}


@pytest.mark.parametrize("format", [*SHAPES, "bioc-json collection"])
@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_a_fault_in_json_costs_its_document(tmp_path, format, fault):
    name, _, collection = format.partition(" ")
    good = b'"x"'
    lines = [SHAPES[name] % (b"%d" % i, JSON_FAULTS[fault] if i == 1 else good) for i in range(3)]
    path = tmp_path / "a.json"
    path.write_bytes(b'{"documents": [\n' + b",".join(lines) + b"]}\n" if collection else b"".join(lines))
    documents, rejected = read(name, path)
    assert documents[0] == "0" and documents[-1] == "2" and len(documents) + len(rejected) == 3
    if "nested" not in fault:  # which is JSON, and read as far as Python can
        assert len(rejected) == 1


@pytest.mark.parametrize("offset", ["NaN", "1e400", "-1", "1e3", "true", "null", '"x"', "[]", "9" * 4_000])
def test_offsets_that_are_none_cost_their_document(tmp_path, offset):
    bad = f'{{"id": "1", "passages": [{{"offset": {offset}, "text": "a"}}]}}\n'
    good = '{"id": "2", "passages": [{"offset": 0, "text": "a"}]}\n'
    path = tmp_path / "a.json"
    path.write_text(bad + good)
    documents, rejected = read("bioc-json", path)
    assert (documents, len(rejected)) == (["2"], 1)


def test_what_parquet_holds_and_python_cannot_costs_its_row(tmp_path):
    offsets = pa.py_buffer(b"\0\0\0\0\x04\0\0\0\x06\0\0\0\x0a\0\0\0")
    texts = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"goodx\xffgood")])
    days = pa.array([0, 10**12, 0], pa.timestamp("s"))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["0", "1", "2"], "text": texts, "when": days}), path)
    documents, (rejected,) = read("parquet", path)
    assert documents == ["0", "2"], "the date is not looked at"
    assert rejected.place == "row 2" and "the value of text cannot be read" in rejected.reason
    assert "b'x\\xff'" in rejected.raw and "'1'" in rejected.raw


@pytest.mark.parametrize(
    "column",
    [
        pa.array([date(2000, 1, 1)] * 2),
        pa.array([1, 2]).cast(pa.decimal128(30, 2)),
        pa.array([{"a": [1]}] * 2),
    ],
    ids=["dates", "decimals", "nested"],
)
def test_columns_of_any_other_type_are_let_be(tmp_path, column):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1", None], "text": ["a", "b"], "x": column}), path)
    documents, (rejected,) = read("parquet", path)
    assert (documents, rejected.reason) == (["1"], "the id (column id) is empty")


@pytest.mark.parametrize("name", DOCUMENT_SCHEMA.names)
def test_a_column_of_a_table_of_documents_that_is_missing_null_or_of_another_type(tmp_path, name):
    document = Document("1", "ab", (Passage(0, 2, "text"),), (Mention(0, 1, "X", "a"),))
    rest = document_table([document]).drop([name])
    path = tmp_path / "a.parquet"
    pq.write_table(rest, path)
    if name in ("id", "text"):
        with pytest.raises(FormatError, match=f"has no column {name}"):
            read("parquet", path)
    else:
        assert read("parquet", path) == (["1"], [])
    pq.write_table(rest.append_column(name, pa.array([date(2000, 1, 1)])), path)
    with pytest.raises(FormatError, match=f"the column {name} of this table of documents is date32"):
        read("parquet", path)
    pq.write_table(rest.append_column(name, pa.array([None], DOCUMENT_SCHEMA.field(name).type)), path)
    documents, rejected = read("parquet", path)
    assert len(documents) == (name == "mentions") and len(rejected) == (name != "mentions")


def test_a_reader_that_fails_costs_the_rest_of_its_file_and_says_so(tmp_path, monkeypatch):
    from types import SimpleNamespace

    from raybio.bulk_tagging import shards

    def fails(path, max_record_bytes):
        yield Document("1", "a")
        raise KeyError("oops")

    monkeypatch.setattr(shards, "format_named", lambda _: SimpleNamespace(read_path=fails))
    shard, end = read_shards(InputFile("a.x", "a", "jsonl", "f"), 10, ())
    assert [document.id for document in shard.documents] == ["1"]
    assert shard.rejected[0].place == "after record 1" and "KeyError" in shard.rejected[0].reason
    assert end.broken and end.error.place == "after record 1"


@pytest.fixture(params=["FIFO", "socket", "device"])
def special(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    path = Path("x.txt")
    if request.param == "FIFO":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    return tmp_path / path, request.param


def test_what_is_no_file_is_refused_unopened(special):
    path, kind = special
    for format in ("text", "parquet", "jsonl"):
        with pytest.raises(AccessError, match=f"is a {kind}, not a file"):
            list(read_corpus(str(path), format))
    with pytest.raises(AccessError, match=f"is a {kind}, not a file"):
        list(read_corpus(f"file://{path}", "text"))
    with pytest.raises(AccessError, match=f"is a {kind}, not a file"):
        find_inputs([str(path)], "text")
    with pytest.raises(AccessError, match=f"is a {kind}, not a file"):
        find_inputs([str(path.parent)])


def test_what_is_no_file_of_a_brat_folder_is_rejected_unopened(special, tmp_path):
    path, kind = special
    (tmp_path / "good.txt").write_text("a")
    documents, (rejected,) = read("brat", tmp_path)
    assert documents == ["good"]
    expected = "is a device, not a file" if kind == "device" else f"is a {kind}, not a file"
    assert (rejected.source, rejected.reason) == (str(path), expected)
    (file,) = find_inputs([str(tmp_path)], "brat")
    assert file.format == "brat"


def test_links_out_of_a_brat_folder_are_rejected(tmp_path):
    folder = tmp_path / "brat"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "good.txt").write_text("a")
    (folder / "inner.txt").symlink_to("good.txt")
    (folder / "outer.txt").symlink_to("../secret")
    (folder / "loop.txt").symlink_to("loop.txt")
    (folder / "ann.txt").write_text("a")
    (folder / "ann.ann").symlink_to(tmp_path / "secret")
    (folder / "sub.txt").mkdir()
    (folder / os.fsdecode(b"\xff.txt")).write_text("a")
    documents, rejected = read("brat", folder)
    assert documents == ["good", "inner"]
    assert len(rejected) == 5 and not any("secret" in each.raw for each in rejected)
    (tmp_path / "linked").symlink_to(folder)
    assert read("brat", tmp_path / "linked")[0] == ["good", "inner"]
    (file,) = find_inputs([str(folder)], "brat")
    assert file.key == "brat"


def test_what_the_shell_opened_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": "1", "text": "a"}))
    readable, writable = os.pipe()
    os.write(writable, path.read_bytes())
    os.close(writable)
    assert [each.id for each in read_corpus(f"/dev/fd/{readable}", "jsonl")] == ["1"]
    os.close(readable)
