"""The table of formats, and reading and writing through it."""

import inspect
import os

import pytest
import s3fs

from raybio.corpora import format_named, format_of, formats, read_corpus, write_corpus
from raybio.entities import Deletion, Document, Rejected
from raybio.errors import FormatError, InputError, UsageError

DOCUMENT = Document("1", "Aspirin helps.")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.tsv", "iob2"),
        ("a.IOB2.gz", "iob2"),
        ("s3://b/BC5CDR_Test.PubTator", "pubtator"),
        ("a.BioC.XML", "bioc-xml"),
        ("a.bioc.json.gz", "bioc-json"),
        ("data/ChemProt/dev.json", "chemprot"),
        ("chemprot_dev.json", "chemprot"),
        ("pubmed26n1334.xml.gz", "pubmed"),
        ("a.jsonl.gz", "jsonl"),
        ("a.txt", "text"),
        ("a.parquet", "parquet"),
        ("new/folder/", "brat"),
    ],
)
def test_formats_are_recognised_by_name(path, name):
    assert format_of(path) == name


def test_a_folder_is_brat(tmp_path):
    assert format_of(str(tmp_path)) == "brat"


@pytest.mark.parametrize("path", ["a.json", "a", "a.pdf"])
def test_a_name_that_does_not_tell_is_refused(path):
    with pytest.raises(UsageError, match="Name one of: iob2"):
        format_of(path)


def test_unknown_formats_are_refused_at_the_call_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean pubtator"):
        read_corpus("a.txt", "pubtater")


@pytest.mark.parametrize("name", [name for name, each in formats().items() if not each.can_write])
def test_formats_that_cannot_be_written_say_so(tmp_path, name):
    with pytest.raises(UsageError, match="can be read but not written"):
        write_corpus([DOCUMENT], str(tmp_path / "a"), name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", formats())
def test_every_entry_names_functions_of_its_shape(name):
    entry = format_named(name)
    first = "path" if entry.takes_path else "stream"
    assert first in inspect.signature(entry._function(entry.reader)).parameters
    if entry.can_write:
        assert list(inspect.signature(entry._function(entry.writer)).parameters)[:2] == ["documents", first]


def test_rejected_records_go_to_the_caller_or_stop_the_reading(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "1", "text": "Aspirin helps."}\n{"id": "2"}\n{"id": "3", "text": ""}\n')
    rejected: list[Rejected] = []
    assert [d.id for d in read_corpus(str(path), on_rejected=rejected.append)] == ["1", "3"]
    assert [(r.source, r.place, r.raw) for r in rejected] == [(str(path), "line 2", '{"id": "2"}')]
    documents = read_corpus(str(path))
    assert next(documents) == DOCUMENT
    with pytest.raises(FormatError, match=r"a\.jsonl, line 2: text: Field required"):
        next(documents)


def test_deletions_are_passed_on_or_dropped(monkeypatch, tmp_path):
    import raybio.corpora.jsonl as jsonl

    monkeypatch.setattr(jsonl, "read", lambda stream, source: iter([Deletion("7"), DOCUMENT]))
    path = tmp_path / "a.jsonl"
    path.touch()
    deletions: list[Deletion] = []
    assert list(read_corpus(str(path), on_deletion=deletions.append)) == [DOCUMENT]
    assert deletions == [Deletion("7")]
    assert list(read_corpus(str(path))) == [DOCUMENT]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet", "a.txt"])
def test_a_document_goes_round(tmp_path, name):
    for path in (str(tmp_path / name), f"memory://round-{name}/{name}"):
        write_corpus([DOCUMENT], path)
        assert [d.text for d in read_corpus(path)] == [DOCUMENT.text]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
@pytest.mark.parametrize("store", ["bucket", "google_bucket"])
def test_a_document_goes_round_in_object_stores(request, store, name):
    url = f"{request.getfixturevalue(store)}/round/{name}"
    write_corpus([DOCUMENT], url)
    assert list(read_corpus(url)) == [DOCUMENT]


def test_the_endpoint_of_a_bucket_may_stand_in_the_config_file_of_aws(bucket, tmp_path, monkeypatch):
    write_corpus([DOCUMENT], f"{bucket}/configured/a.jsonl")
    (tmp_path / "config").write_text(f"[default]\nendpoint_url = {os.environ['AWS_ENDPOINT_URL']}\n")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    s3fs.S3FileSystem.clear_instance_cache()
    assert list(read_corpus(f"{bucket}/configured/a.jsonl")) == [DOCUMENT]
    s3fs.S3FileSystem.clear_instance_cache()


def test_what_a_bucket_lacks_is_named(bucket):
    with pytest.raises(InputError, match=r"missing\.jsonl"):
        list(read_corpus(f"{bucket}/missing.jsonl"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.tsv", "a.txt", "a.parquet"])
def test_a_file_is_not_left_half_written(tmp_path, name):
    def failing():
        yield DOCUMENT
        raise RuntimeError

    with pytest.raises((RuntimeError, FormatError)):
        write_corpus(failing(), str(tmp_path / name))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["iob2", "jsonl", "text", "chemprot", "parquet"])
def test_an_empty_file_is_refused(tmp_path, name):
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(FormatError, match="empty"):
        list(read_corpus(str(path), name))
