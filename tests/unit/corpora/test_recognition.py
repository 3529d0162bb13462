"""Folders of files: what is read in their place, and in which format."""

import json

import pyarrow as pa
import pytest

from raybio.corpora import format_named, input_format, read_corpus, write_corpus
from raybio.corpora.recognition import files_of
from raybio.corpora.table import Columns
from raybio.entities import Document
from raybio.errors import FormatError, UsageError

DOCUMENTS = [Document(str(i), f"Text {i}.", mentions=()) for i in range(3)]


@pytest.fixture
def saved(tmp_path):
    """A split as `DatasetDict.save_to_disk` of datasets 5.2 leaves it: Arrow streams, and what it notes."""
    folder = tmp_path / "saved" / "train"
    folder.mkdir(parents=True)
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    features = {name: {"dtype": "string", "_type": "Value"} for name in ("pmid", "abstract")}
    said = {"huggingface": json.dumps({"info": {"features": features}})}
    for shard in range(2):
        table = pa.table({"pmid": [str(2 * shard), str(2 * shard + 1)], "abstract": ["Naloxone.", None]})
        table = table.replace_schema_metadata(said)
        with pa.ipc.new_stream(str(folder / f"data-0000{shard}-of-00002.arrow"), table.schema) as writer:
            writer.write_table(table)
    (folder / "cache-1234.arrow").write_bytes(b"not read")
    files = [{"filename": f"data-0000{shard}-of-00002.arrow"} for shard in range(2)]
    state = {
        "_data_files": files,
        "_fingerprint": "2d8b601a47d587c0",
        "_format_type": None,
        "_split": "train",
    }
    (folder / "state.json").write_text(json.dumps(state))
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


@pytest.mark.parametrize("columns", [None, Columns(text=("abstract",), id="pmid")])
def test_a_folder_that_datasets_saved_is_its_rows(saved, columns):
    options = {} if columns is None else {"columns": columns}
    found = list(read_corpus(str(saved), **options))
    assert [(document.id, document.text) for document in found] == [
        *(("0", "Naloxone."), ("1", ""), ("2", "Naloxone."), ("3", ""))
    ]


def test_the_folder_of_several_splits_names_them(saved):
    with pytest.raises(FormatError, match="there are folders in it, train: name one of those"):
        list(read_corpus(str(saved.parent)))


@pytest.mark.parametrize("suffix", [".pubtator", ".bioc.xml", ".bioc.json.gz", ".jsonl", ".parquet"])
def test_a_folder_of_files_in_one_format_is_read_file_by_file(tmp_path, suffix):
    for document in reversed(DOCUMENTS):
        write_corpus([document], str(tmp_path / f"{document.id}{suffix}"))
    (tmp_path / "README.md").write_text("No corpus.")
    (tmp_path / ".hidden.jsonl").write_text("no JSON")
    assert [document.id for document in read_corpus(str(tmp_path))] == ["0", "1", "2"]


def test_files_are_known_by_what_they_hold(tmp_path):
    for name in ("1.xml", "2.xml"):  # as NCBI's BioC of PMC comes
        write_corpus(DOCUMENTS[:1], str(tmp_path / name), "bioc-xml")
    assert input_format(str(tmp_path)) == "bioc-xml"
    assert len(list(read_corpus(str(tmp_path)))) == 2


def test_a_folder_of_several_formats_is_refused_unless_one_is_named(tmp_path):
    write_corpus(DOCUMENTS[:1], str(tmp_path / "a.jsonl"))
    write_corpus(DOCUMENTS[1:], str(tmp_path / "b.pubtator"))
    with pytest.raises(UsageError, match="several formats: jsonl, pubtator"):
        read_corpus(str(tmp_path))
    assert [document.id for document in read_corpus(str(tmp_path), "pubtator")] == ["1", "2"]
    with pytest.raises(FormatError, match="holds no file in the format parquet"):
        files_of(str(tmp_path), format_named("parquet"))


def test_a_folder_with_texts_is_that_of_brat(tmp_path):
    write_corpus(DOCUMENTS, str(tmp_path / "out"), "brat")
    write_corpus(DOCUMENTS, str(tmp_path / "out" / "a.jsonl"))
    assert input_format(str(tmp_path / "out")) == "brat"


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("a.tsv", "#FORMAT=WebAnno TSV 3.3\n\n#Text=Aspirin.\n1-1\t0-7\tAspirin\tChemical\n", "CoNLL 2003"),
        ("a.conllu", "# sent_id = 1\n# text = Aspirin.\n1\tAspirin\taspirin\tNOUN\n", "IOB2"),
        ("a.txt", "# newdoc id = 1\n1\tAspirin\taspirin\tNOUN\n", "IOB2"),
        ("a.xmi", '<?xml version="1.0"?>\n<xmi:XMI xmlns:xmi="x"/>', "BioC"),
        ("a.xml", '<xmi:XMI xmlns:xmi="x"/>', "BioC"),
        (
            "a.json",
            '[{"id": 1, "annotations": [{"id": 1, "result": []}], "data": {"text": "a"}}]',
            "CONLL2003",
        ),
        ("rows.json", '[\n {"pmid": 17, "title": "Naloxone", "year": null}]', "name the file .jsonl"),
    ],
)
def test_files_of_other_tools_are_named_with_what_to_export(tmp_path, name, content, remedy):
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=rf"is not read here\. .*{remedy}"):
        read_corpus(str(tmp_path / name))
