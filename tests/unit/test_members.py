"""Corpora that each annotate only some entities, as one model learns them."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import sentence_of_words

from raybio.config import CorpusSection
from raybio.iob2 import tag_set
from raybio.members import Member, interleaved, labels_of_splits, with_draws

LABELS = ("Chemical", "Disease", "Gene")
FILES = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")


def member(folder: Path, sentences: int, **fields: object) -> Member:
    folder.mkdir()
    for split in ("train", "dev", "test"):
        text = "\n".join(f"{folder.name}{i}\tB-Drug\nCOX2\tB-Gene\n" for i in range(sentences))
        (folder / f"{split}.tsv").write_text(text)
    files = {split: str(folder / f"{split}.tsv") for split in ("train", "dev", "test")}
    return Member(CorpusSection(**files), folder.name, sentences=sentences, **fields)


def test_a_complete_corpus_is_silent_about_nothing():
    assert Member(FILES, "all").allows(LABELS) is None
    assert Member(FILES, "all", annotates=frozenset(LABELS)).allows(LABELS) is None
    assert Member(FILES, "all").own(["B-Gene", "O"]) == ["B-Gene", "O"]


def test_an_untagged_word_may_be_what_a_corpus_does_not_annotate():
    drugs = Member(FILES, "drugs", annotates=frozenset({"Chemical"}))
    allowed = drugs.allows(LABELS)
    assert allowed is not None
    assert [tag for tag, may_be in zip(tag_set(LABELS), allowed, strict=True) if may_be] == [
        *("O", "B-Disease", "I-Disease", "B-Gene", "I-Gene")
    ]
    assert drugs.own(["B-Chemical", "I-Chemical", "B-Gene", "O"]) == ["B-Chemical", "I-Chemical", "O", "O"]


def test_labels_are_mapped_and_dropped_before_anything_is_counted(tmp_path):
    drugs = member(tmp_path / "drugs", 2, names={"Drug": "Chemical", "Gene": None})
    (first, second) = drugs.read("train")
    assert [(span.start, span.label) for span in first.gold] == [(0, "Chemical")]
    assert drugs.gold(second) == ["B-Chemical", "O"]


def test_documents_that_others_are_scored_on_are_not_learned(tmp_path):
    drugs = member(tmp_path / "drugs", 3, left_out={1: "genes test"})
    assert [sentence.words[0] for sentence in drugs.read("train")] == ["drugs0", "drugs2"]
    assert sum(1 for _ in drugs.read("dev")) == 3


def test_members_are_mixed_evenly_in_training_and_in_order_in_scoring(tmp_path):
    members = [member(tmp_path / "a", 12), member(tmp_path / "b", 4)]
    assert [number for number, _ in interleaved(members, "dev")] == [0] * 12 + [1] * 4
    order = [number for number, _ in interleaved(members, "train")]
    places = [place for place, number in enumerate(order) if number == 1]
    assert len(order) == 16 and {after - before for before, after in pairwise(places)} == {4}
    assert [s.words[0] for number, s in interleaved(members, "train") if number == 1] == [
        f"b{i}" for i in range(4)
    ]


def test_a_split_is_called_by_its_members_where_they_differ(tmp_path):
    files = member(tmp_path / "a", 1)
    halves = Member(CorpusSection(name="sample", train_from_dev=0.5), "sample")
    assert labels_of_splits([files, files]) == {"train": "train", "dev": "dev"}
    assert labels_of_splits([files, halves])["train"] == "train of a, the first 50% of dev of sample"


# Draws ------------------------------------------------------------------------------------------

SIZES = st.lists(st.integers(1, 50_000), min_size=1, max_size=6)


def of_sizes(sizes: list[int], weights: list[float] | None = None) -> list[Member]:
    pairs = zip(sizes, weights or [1.0] * len(sizes), strict=True)
    return [Member(FILES, str(i), weight=weight, sentences=n) for i, (n, weight) in enumerate(pairs)]


def draws(members: list[Member], temperature: float) -> list[int]:
    return [each.draws for each in with_draws(members, temperature)]


@given(SIZES)
def test_at_one_every_sentence_is_drawn_once(sizes):
    assert draws(of_sizes(sizes), 1.0) == sizes


@given(SIZES, st.floats(1, 100), st.data())
def test_an_epoch_is_as_long_as_ever(sizes, temperature, data):
    weights = data.draw(st.lists(st.floats(0.1, 10), min_size=len(sizes), max_size=len(sizes)))
    drawn = draws(of_sizes(sizes, weights), temperature)
    assert sum(drawn) == sum(sizes) and min(drawn) >= 0


@pytest.mark.parametrize(
    ("sizes", "weights", "temperature", "expected"),
    [
        ([100, 900], [1, 1], 2, [250, 750]),  # 10 and 30 parts
        ([100, 900], [3, 1], 2, [500, 500]),
        ([100, 900], [1, 1], 1e6, [500, 500]),
        ([100, 900], [9, 1], 1, [500, 500]),
        ([1, 1, 1], [1, 1, 1], 3, [1, 1, 1]),
    ],
)
def test_weights_and_temperature_share_an_epoch_out(sizes, weights, temperature, expected):
    assert draws(of_sizes(sizes, weights), temperature) == expected


def test_gold_is_scored_on_own_labels_alone():
    genes = Member(FILES, "genes", annotates=frozenset({"Gene"}))
    assert genes.gold(sentence_of_words("a", "b")) == ["O", "O"]
