"""Two tagged outputs in one report: what both found, what only one did, and where they differ most."""

import json
from pathlib import Path

import pytest

from raybio.bulk_tagging.commit import ShardFiles
from raybio.bulk_tagging.inputs import InputFile
from raybio.bulk_tagging.shards import Shard
from raybio.bulk_tagging.tagging import TaggedDocuments, reject
from raybio.entities import Document, Mention
from raybio.reports.blocks import Chapter, Table, TaggedText
from raybio.reports.side_by_side import side_by_side_chapter
from raybio.reports.sources import read_tagging
from raybio.reports.tagging_chapter import tagging_chapter

TEXT = "Naloxone reverses pain and clonidine."
NALOXONE, PAIN = Mention(0, 8, "Chemical", "Naloxone", 0.9), Mention(18, 22, "Disease", "pain", 0.5)
CLONIDINE, NAMED = Mention(27, 36, "Chemical", "clonidine", 0.4), Mention(18, 22, "Symptom", "pain", 0.6)


@pytest.fixture
def output(tmp_path):
    def make(name: str, formats: tuple[str, ...] = ("jsonl",), **mentions: tuple[Mention, ...]) -> Path:
        documents = [Document(key, TEXT, mentions=found) for key, found in mentions.items()]
        shard = Shard(InputFile("in.jsonl", "in", "jsonl", "f"), 0, (), (), ())
        gone = [reject(Document("gone", TEXT), "in.jsonl", "why", "do")]
        ShardFiles(str(tmp_path / name), formats, name, "c").write(
            shard, TaggedDocuments(documents, gone, 0, 0)
        )
        (tmp_path / name / "raybio.json").write_text(json.dumps({"model": name}))
        return tmp_path / name

    return make


def chapter(*paths: Path) -> Chapter:
    return side_by_side_chapter([read_tagging(path) for path in paths])


def tables_of(made: Chapter) -> list[Table]:
    return [block for section in made.sections for block in section.blocks if isinstance(block, Table)]


def test_what_both_found_and_what_only_one_did(output):
    one = output("one", a=(NALOXONE, PAIN), b=(NALOXONE,), mine=(PAIN,), gone=(PAIN,))
    two = output("two", a=(NALOXONE, NAMED, CLONIDINE), b=(NALOXONE,))
    counts, agreement = tables_of(chapter(one, two))
    assert counts.caption == "Mentions in the 2 documents that all have tagged"
    assert counts.rows == (
        ("Chemical", "2", "3"),
        ("Disease", "1", "0"),
        ("Symptom", "0", "1"),
        ("all", "3", "4"),
    )
    assert agreement.header == ("label", "both", "only one", "only two", "agreement")
    assert agreement.rows == (
        ("Chemical", "2", "0", "1", "80.00"),
        ("Disease", "0", "1", "0", "0.00"),
        ("Symptom", "0", "0", "1", "0.00"),
        ("all", "2", "1", "2", "57.14"),
    )


@pytest.mark.parametrize("formats", [("jsonl",), ("pubtator",)])
def test_documents_that_differ_most_are_shown_by_each(output, formats):
    one = output("one", formats, a=(NALOXONE,), b=(NALOXONE,), c=(PAIN, NALOXONE))
    two = output("two", formats, a=(NALOXONE,), b=(PAIN,), c=(CLONIDINE, NAMED))
    made = chapter(one, two)
    shown = [block for section in made.sections for block in section.blocks if isinstance(block, TaggedText)]
    assert [text.heading for text in shown] == [
        *("Document c, by one", "Document c, by two"),
        *("Document b, by one", "Document b, by two"),
    ]
    assert [piece.text for piece in shown[1].pieces if piece.label] == ["pain", "clonidine"]


def test_three_are_compared_in_pairs_and_names_that_are_alike_told_apart(output):
    paths = [output(name, a=(NALOXONE,)) for name in ("x/tagged", "y/tagged", "other")]
    counts, *pairs = tables_of(chapter(*paths))
    assert counts.header == ("label", "x/tagged", "y/tagged", "other")
    assert len(pairs) == 3


def test_outputs_of_other_documents_have_nothing_to_compare(output):
    made = chapter(output("one", a=(PAIN,)), output("two", b=(PAIN,)))
    assert "no document in common" in str(made.sections[0].blocks)


def test_offsets_in_other_texts_are_not_shown_side_by_side(output, tmp_path):
    one, two = output("one", a=(PAIN,)), output("two", a=())
    kept = two / "jsonl" / "in-00000.jsonl"
    kept.write_text(kept.read_text().replace(TEXT, f"A{TEXT}"))
    blocks = chapter(one, two).sections[0].blocks
    assert "The text of document a is not the same in all" in str(blocks)
    assert not any(isinstance(block, TaggedText) for block in blocks)


def test_a_report_on_two_outputs_has_the_chapter(output, tmp_path):
    from raybio.reports.contents import read_report

    one, two = output("one", a=(PAIN,)), output("two", a=())
    assert read_report([], [one, two]).chapters[0].heading == "Taggings side by side"
    assert [chapter.heading for chapter in read_report([], [one]).chapters] == ["one"]


def test_which_entities_were_kept_is_said_of_each_output(output):
    path = output("one", a=(NALOXONE,))
    entities = {
        "labels": ["Chemical", "Disease"],
        "min_score": {"Disease": 0.9},
        "rename": {"Chemical": "Drug"},
    }
    for kept, facts in (
        (entities, "labels Chemical, Disease; min_score Disease=0.9; rename Chemical=Drug"),
        ({"labels": [], "min_score": 0.8, "rename": {}}, "min_score 0.8"),
        ({"labels": [], "min_score": 0.0, "rename": {}}, None),
    ):
        (path / "raybio.json").write_text(json.dumps({"model": "m", "config": {"entities": kept}}))
        assert dict(tagging_chapter(read_tagging(path)).facts).get("Entities") == facts
