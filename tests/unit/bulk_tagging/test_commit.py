import hashlib
import io
import json
from dataclasses import asdict, replace

import fsspec
import pyarrow.parquet as pq
import pytest

from raybio.bulk_tagging.commit import RECORD_SCHEMA, ShardFiles
from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.output_folder import OutputFolder
from raybio.bulk_tagging.shards import Shard
from raybio.bulk_tagging.tagging import MalformedLine, TaggedDocuments
from raybio.corpora import format_named, read_corpus
from raybio.corpora.parquet import MENTION_SCHEMA
from raybio.entities import Deletion, Document, Mention, Passage, Rejected, Sentence, Span

TEXT = "Naloxone 😀 works. It reverses clonidine."
TITLE = Passage(0, 17, "title")
DOCUMENTS = [
    Document(
        "1",
        TEXT,
        (TITLE, Passage(18, len(TEXT), "abstract", "RESULTS")),
        (
            Mention(0, 8, "Chemical", "Naloxone", 0.5),
            Mention(30, 39, "Chemical", "clonidine", 0.25),
        ),
    ),
    Document("2", "Nothing.", (Passage(0, 8, "title"),), (), version=3),
    Document("3", "", (), ()),
]
UNREAD = Rejected("in/a.jsonl", "line 4", "not JSON\u2028", "Repair it", "", "{")
UNTAGGED = Rejected("in/a.jsonl", "document 5", "the tagger failed", "Replay it", "5", "text β")
SHARD = Shard(InputFile("in/a.jsonl", "a", "jsonl", "f"), 2, (), (UNREAD,), (Deletion("9", 2),))
TAGGED = TaggedDocuments(DOCUMENTS, [UNTAGGED], sentences=3, words=9)
FORMATS = ("parquet", "pubtator", "bioc-json", "bioc-xml", "jsonl", "brat")


def content_of(output, path):
    filesystem, root = fsspec.core.url_to_fs(f"{output}/{path}")
    return b"".join(filesystem.cat_file(name) for name in sorted(filesystem.find(root)))


def write(output, formats=FORMATS, shard=SHARD, tagged=TAGGED):
    return ShardFiles(output + "/", formats, "runs/x/model", "cafe").write(shard, tagged).files


def table_of(output, path):
    return pq.read_table(io.BytesIO(content_of(output, path)))


def test_what_is_said_of_each_file_is_true(output):
    files = write(output)
    assert sorted(files) == [
        "bioc-json/a-00002.bioc.json",
        "bioc-xml/a-00002.bioc.xml",
        "brat/a-00002",
        "documents/a-00002.parquet",
        "jsonl/a-00002.jsonl",
        "mentions/a-00002.parquet",
        "pubtator/a-00002.pubtator",
        "rejected/a-00002.jsonl",
    ]
    for path, said in files.items():
        content = content_of(output, path)
        assert said == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_shard_may_be_committed_again_and_gives_the_same_bytes(output):
    """A worker that died after writing and before its ledger entry leaves files behind."""
    assert write(output) == write(output)


def test_the_mentions_are_exact_pieces_of_the_text(output):
    write(output)
    table = table_of(output, "mentions/a-00002.parquet")
    assert table.schema.equals(MENTION_SCHEMA, check_metadata=True)
    rows = table.to_pylist()
    assert [(row["document_id"], row["passage"], row["passage_label"], row["score"]) for row in rows] == [
        ("1", "title", "", 0.5),
        ("1", "abstract", "RESULTS", 0.25),
    ]
    assert all(TEXT[row["start"] : row["end"]] == row["text"] for row in rows)
    assert {(row["model"], row["config_hash"]) for row in rows} == {("runs/x/model", "cafe")}


def test_every_record_has_its_fate(output):
    write(output)
    table = table_of(output, "documents/a-00002.parquet")
    assert table.schema.equals(RECORD_SCHEMA)
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("1", 1, "tagged", 2, "in/a.jsonl"),
        ("2", 3, "tagged", 0, "in/a.jsonl"),
        ("3", 1, "without text", 0, "in/a.jsonl"),
        ("", None, "rejected", 0, "in/a.jsonl"),
        ("5", None, "rejected", 0, "in/a.jsonl"),
        ("9", 2, "deleted", 0, "in/a.jsonl"),
    ]


def test_rejected_records_survive(output):
    write(output)
    lines = content_of(output, "rejected/a-00002.jsonl").decode().rstrip("\n").split("\n")
    records = [json.loads(line) for line in lines]
    assert {record.pop("shard") for record in records} == {"a-00002"}
    assert [Rejected(**record) for record in records] == [UNREAD, UNTAGGED]


def test_nothing_rejected_and_nothing_tagged_leave_no_file_of_rejected(output):
    files = write(output, ("parquet",), Shard(SHARD.file, 0, (), (), ()), TaggedDocuments([], [], 0, 0))
    assert sorted(files) == ["documents/a-00000.parquet", "mentions/a-00000.parquet"]
    assert all(table_of(output, path).num_rows == 0 for path in files)


def test_a_shard_that_is_written_again_keeps_nothing_of_what_it_was(output):
    line = MalformedLine("1", "changed word", "Naloxon:O", 0, 8, "Naloxone")
    write(output, tagged=replace(TAGGED, malformed=[line]))
    fewer = write(output, shard=replace(SHARD, rejected=()), tagged=TaggedDocuments(DOCUMENTS[:1], [], 1, 3))
    assert sorted(stems(output)) == sorted(fewer)
    assert b"Nothing." not in content_of(output, "brat/a-00002")
    none = write(output, tagged=TaggedDocuments([], [UNTAGGED], 0, 0))
    assert sorted(stems(output)) == sorted(none)


def stems(output):
    """What lies in the folders of an output."""
    folder = OutputFolder(output)
    return [f"{each}/{name}" for each in folder.names("") for name in folder.names(each)]


def test_columns_of_words_have_those_that_were_tagged_and_no_others(output):
    other = Passage(9, 16, "other_abstract")
    abroad = Document("4", "Aspirin. Autres.", (Passage(0, 8, "title"), other), (), version=2)
    words = Sentence("5:1", ("Aspirin.",), (0,), "5", (Span(0, 1, "Chemical"),))
    brought = Document("5", "Aspirin.", (), (Mention(0, 8, "Chemical", "Aspirin.", 0.5),), (words,))
    written = ShardFiles(output, ("iob2",), "m", "c", skipped=("other_abstract",)).write(
        SHARD, TaggedDocuments([abroad, brought, DOCUMENTS[2]], [], 2, 3)
    )
    content = content_of(output, "iob2/a-00002.tsv").decode()
    assert content == "Aspirin\tO\n.\tO\n\nAspirin.\tB-Chemical\n\n"
    assert written.lost["iob2"]["documents without words"] == 1
    nothing = ShardFiles(output, ("iob2",), "m", "c").write(SHARD, TaggedDocuments(DOCUMENTS[2:], [], 0, 0))
    assert nothing.lost == {"iob2": {"documents without words": 1}}
    assert not any(path.startswith("iob2/") for path in nothing.files)


def test_what_formats_have_no_place_for_is_counted(output):
    documents = [replace(each, attributes={"year": "1999", "journal": "J"}) for each in DOCUMENTS]
    written = ShardFiles(output, (*FORMATS, "csv"), "m", "c", ("year",)).write(
        SHARD, TaggedDocuments(documents, [], 3, 9)
    )
    assert written.lost["pubtator"] == {
        "attributes of documents": 6,
        "labels of passages": 1,
        "scores of mentions": 2,
        "versions of documents": 1,
    }
    assert written.lost["csv"] == {
        "attributes of documents": 3,
        "passages": 3,
        "texts of documents, but for their mentions": 2,
    }
    assert "jsonl" not in written.lost


def test_malformed_lines_survive(output):
    line = MalformedLine("1", "changed word", "Naloxon:O", 0, 8, "Naloxone")
    write(output, ("parquet",), tagged=TaggedDocuments(DOCUMENTS, [], 3, 9, [line]))
    [record] = map(json.loads, content_of(output, "malformed/a-00002.jsonl").decode().splitlines())
    assert record == {"shard": "a-00002", **asdict(line)}


@pytest.mark.parametrize("name", FORMATS[1:])
def test_every_format_can_be_read_back(tmp_path, name):
    files = write(str(tmp_path), ("parquet", name))
    [path] = [path for path in files if path.startswith(f"{name}/")]
    found = {document.id: document for document in read_corpus(str(tmp_path / path), name)}
    assert sorted(found) == ["1", "2", "3"]
    assert found["1"].text == TEXT
    assert [(m.start, m.end, m.label, m.text) for m in found["1"].mentions] == [
        (0, 8, "Chemical", "Naloxone"),
        (30, 39, "Chemical", "clonidine"),
    ]
    if name == "jsonl":
        assert list(found.values()) == DOCUMENTS
    assert format_named(name).can_read
