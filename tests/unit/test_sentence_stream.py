"""Which documents make a split, and what is learned from them as one piece; nothing of Ray is started."""

from dataclasses import replace

import pytest

from raybio.config import CorpusSection
from raybio.corpora import write_corpus
from raybio.corpora.sentences import window_document
from raybio.entities import Document, Mention, Passage
from raybio.sentence_stream import read_documents, read_sentences, read_text, split_labels

TEXT = "Aspirin helps. Aspirin harms the gut."
MENTIONS = (Mention(0, 7, "Chemical", "Aspirin"), Mention(15, 22, "Chemical", "Aspirin"))


def document(name: str) -> Document:
    return Document(name, TEXT, (Passage(0, len(TEXT), "text"),), MENTIONS)


@pytest.fixture
def files(tmp_path):
    for split, count in (("train", 4), ("dev", 10), ("test", 3)):
        write_corpus((document(f"{split}{i}") for i in range(count)), str(tmp_path / f"{split}.jsonl"))
    return {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "dev", "test")}


def ids(corpus, split):
    return [each.id for each in read_documents(corpus, split)]


def test_train_and_what_is_scored_have_limits_of_their_own(files):
    corpus = CorpusSection(**files, max_train_documents=2)
    assert [len(ids(corpus, split)) for split in ("train", "dev", "test")] == [2, 10, 3]
    assert len(ids(CorpusSection(**files, max_train_documents=3, max_documents=2), "train")) == 2
    scored = CorpusSection(**files, max_eval_documents=2)
    assert [len(ids(scored, split)) for split in ("train", "dev", "test")] == [4, 2, 2]


def test_a_part_of_dev_stands_in_for_train(files):
    corpus = CorpusSection(**files, train_from_dev=0.7)
    assert ids(corpus, "train") == [f"dev{i}" for i in range(7)]
    assert ids(corpus, "dev") == [f"dev{i}" for i in range(7, 10)]
    assert len(ids(corpus, "test")) == 3


def test_dev_is_learned_too(files):
    corpus = CorpusSection(**files, train_with_dev=True, max_train_documents=2, max_eval_documents=1)
    assert ids(corpus, "train") == ["train0", "train1", *(f"dev{i}" for i in range(10))]
    assert ids(corpus, "dev") == ["dev0"]
    smoke = CorpusSection(**files, train_with_dev=True, max_documents=1)
    assert ids(smoke, "train") == ["train0", "dev0"]


def test_what_stands_for_a_split_has_a_label(files, tmp_path):
    assert split_labels(CorpusSection(**files)) == {"train": "train", "dev": "dev"}
    parts = {"train": "the first 75% of dev", "dev": "the last 25% of dev"}
    assert split_labels(CorpusSection(**files, train_from_dev=0.75)) == parts
    both = {"train": "train and dev", "dev": "dev"}
    assert split_labels(CorpusSection(**files, train_with_dev=True)) == both
    folder = tmp_path / "JNLPBA"
    folder.mkdir()
    for name in ("train.rebuilt.tsv", "dev.tsv"):
        (folder / name).touch()
    rebuilt = CorpusSection(name="JNLPBA", data=str(tmp_path))
    assert split_labels(rebuilt) == {"train": "rebuilt train", "dev": "dev"}


def test_documents_are_cut_into_windows_of_words(files):
    sentences = list(read_sentences(CorpusSection(**files), "test"))
    windows = list(read_sentences(CorpusSection(**files, instance_words=3), "test"))
    assert [s.words[0] for s in sentences[:2]] == ["Aspirin", "Aspirin"]
    assert [len(s) for s in windows[:3]] == [3, 3, 2]
    assert [(s.gold[0].start, s.gold[0].label) for s in windows[:1]] == [(0, "Chemical")]
    for window in windows[:3]:
        assert all(
            TEXT[start : start + len(word)] == word
            for word, start in zip(window.words, window.starts, strict=True)
        )


def test_a_mention_across_a_seam_is_reported():
    lost = []
    across = replace(document("d"), mentions=(Mention(8, 22, "Chemical", TEXT[8:22]),))
    one, two, _ = window_document(across, 3, lost.append)
    assert (one.gold, two.gold) == ((), ()) and [each.reason for each in lost] == ["across sentences"]


def test_biored_has_about_as_many_instances_as_the_study_says(corpora):
    def count(split):
        corpus = CorpusSection(name="BioRED", data=str(corpora), instance_words=145)
        return sum(1 for _ in read_sentences(corpus, split))

    assert count("test") == 273
    assert count("train") + count("dev") == 1326  # published: 1,051 + 269


def test_text_comes_without_its_annotations(files):
    sentences = list(read_text([files["train"], files["test"]], max_documents=2))
    assert [sentence.document_id for sentence in sentences] == [
        name for name in ("train0", "train1", "test0", "test1") for _ in range(2)
    ]
    assert all(sentence.gold is None for sentence in sentences)
    assert sentences[0].words == ("Aspirin", "helps", ".")
