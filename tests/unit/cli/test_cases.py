"""Small inputs that once went wrong, each one of a kind: what is right of them, by the command line."""

import json
import shutil
from pathlib import Path

import pytest

from raybio.corpora import read_corpus

CASES = Path(__file__).resolve().parents[2] / "data" / "cases"


@pytest.fixture
def convert(raybio, tmp_path):
    """Convert a case; give the exit status, the lines on the terminal, and what was written."""

    def run(case, target, *words):
        outcome = raybio("corpus", "convert", CASES / case, target, *words)
        path = tmp_path / target
        return outcome, path.read_text() if path.is_file() else ""

    return run


@pytest.mark.parametrize("target", ["copy.bioc.xml", "copy.bioc.json"])
def test_infons_at_every_level_survive_a_copy(convert, target):
    outcome, copy = convert("concepts/cdr.bioc.xml", target, "--strict")
    assert outcome.code == 0
    for infon in ("MESH", "Chemical", "Disease", "relation"):
        assert infon in copy
    assert copy.count("D008094") == 2 and "CID" in copy


@pytest.mark.parametrize("target", ["copy.pubtator", "copy.jsonl", "copy.bioc.json"])
def test_known_infons_are_concepts_and_arguments(convert, target):
    outcome, _ = convert("concepts/cdr.bioc.xml", target)
    assert outcome.code == 0
    [document] = read_corpus(target)
    assert [mention.concept for mention in document.mentions] == ["D008094", "D014202"]
    assert [reference for _, reference in document.relations[0].arguments] == ["D008094", "D014202"]


def test_relations_of_mentions_are_written_as_those_of_their_concepts(convert):
    _, copy = convert("relations/nodes.bioc.xml", "copy.pubtator")
    assert "103\tCID\tD008094\tD014202\n" in copy


def test_relations_of_concepts_are_written_as_those_of_mentions(convert, tmp_path):
    outcome, _ = convert("relations/rel.pubtator", "out/")
    assert "R1\tCID Arg1:T1 Arg2:T2\n" in (tmp_path / "out" / "101.ann").read_text()
    assert "relations" not in outcome.err


def test_the_annotations_of_shared_tasks_are_read(convert, raybio, tmp_path):
    outcome, copy = convert("brat_a1/a1", "copy.jsonl")
    assert [mention["text"] for mention in json.loads(copy)["mentions"]] == ["IL2", "up"]
    assert outcome.code == 0
    # And a folder that has only folders in it says so.
    (tmp_path / "above").mkdir()
    shutil.copytree(CASES / "brat_a1" / "a1", tmp_path / "above" / "train")
    assert "there are folders in it, train" in raybio("corpus", "convert", "above", "copy.tsv").err
    assert "2" in raybio("corpus", "stats", CASES / "brat_a1" / "a1", "--json", "-").out


def test_annotations_that_share_an_id_in_two_passages_stay_two(convert):
    _, copy = convert("duplicate_ids/dup.bioc.xml", "copy.bioc.json")
    held = json.loads(copy)["documents"][0]["passages"]
    found = [annotation["text"] for passage in held for annotation in passage["annotations"]]
    assert found == ["Fever", "Cold", "flu"]


@pytest.mark.parametrize("target", ["copy.jsonl", "copy.pubtator", "copy.tsv"])
def test_line_ends_of_two_characters_are_one_where_offsets_say_so(convert, target):
    outcome, _ = convert("brat_crlf/frag", target)
    assert outcome.code == 0
    [document] = read_corpus(target)
    assert any("Renal failure" in mention.text for mention in document.mentions)


@pytest.mark.parametrize(
    ("case", "whole"),
    [
        ("tax", [["S", ".", "Typhimurium"]]),
        (
            "us",
            [
                ["U", ".", "S", ".", "Food"],
                ["U", ".", "K", ".", "Biobank"],
                ["Tab", ".", "1"],
                ["max", ".", "10"],
            ],
        ),
    ],
)
def test_names_are_not_cut(convert, case, whole):
    outcome, copy = convert(f"splitter/{case}.pubtator", "copy.tsv")
    sentences = [[line.split("\t")[0] for line in block.split("\n")] for block in copy.strip().split("\n\n")]
    for words in whole:
        assert any(" ".join(words) in " ".join(sentence) for sentence in sentences), words
    assert "mentions that fit no words" not in outcome.err


def test_an_empty_document_is_left_out_and_counted(convert):
    outcome, copy = convert("empty_document/emptydoc.pubtator", "copy.tsv")
    assert outcome.code == 0 and copy.startswith("Fever\tB-")
    assert "documents written to copy.tsv as iob2: 1\n" in outcome.err
    assert "documents without words left out: 1\n" in outcome.err


@pytest.mark.parametrize("mention", [{}, {"start": 6}, {"end": 0}, {"start": 3, "end": 2}, {"label": ""}])
@pytest.mark.parametrize("target", ["copy.parquet", "copy.jsonl"])
def test_impossible_mentions_are_rejected_by_line(refused, raybio, tmp_path, mention, target):
    row = json.loads((CASES / "impossible_mentions" / "past.jsonl").read_text())
    row["mentions"][0] |= mention
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    assert "in.jsonl, line 1: " in refused("corpus", "convert", "in.jsonl", target)
    assert raybio("corpus", "convert", "in.jsonl", target, "--rejected", "rejected.jsonl").code == 0
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["place"] == "line 1"


def test_a_formula_reads_as_on_one_line(convert):
    _, apart = convert("mathml/mathml.xml", "apart.jsonl")
    _, together = convert("mathml/mathml_oneline.xml", "together.jsonl")
    assert "(O2max) rose." in apart
    assert apart == together


def test_what_is_missing_in_bioc_is_named_and_the_document_is_kept_where_it_can_be(refused, convert):
    assert "text" in refused("corpus", "convert", CASES / "bioc_messages/notext.bioc.xml", "copy.jsonl")
    outcome, copy = convert("bioc_messages/notext.bioc.xml", "copy.jsonl", "--rejected", "rejected.jsonl")
    assert (outcome.code, json.loads(copy)["id"]) == (0, "2")
    record = json.loads(Path("rejected.jsonl").read_text())
    assert "has no 'text'" in record["reason"]
    assert "offset" not in record["remedy"]
