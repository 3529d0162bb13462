import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from strategies import documents

from raybio.entities import Document, Mention, Passage, Sentence, Span

TEXT = "Naloxone 😀 reverses clonidine."
SENTENCE = Sentence("1:0", ("Naloxone", "😀", "reverses", "clonidine", "."), (0, 9, 11, 20, 29), "1")


def test_a_span_counts_words_and_sorts_by_place():
    assert len(Span(2, 5, "Disease")) == 3
    assert sorted([Span(2, 3, "B"), Span(2, 3, "A"), Span(0, 9, "C")])[0] == Span(0, 9, "C")
    assert sorted([Span(2, 3, "B"), Span(2, 3, "A")]) == [Span(2, 3, "A"), Span(2, 3, "B")]


@pytest.mark.parametrize(
    ("span", "covered"),
    [
        (Span(0, 1, "x"), "Naloxone"),
        (Span(1, 3, "x"), "😀 reverses"),
        (Span(3, 5, "x"), "clonidine."),
        (Span(0, 5, "x"), TEXT),
    ],
)
def test_characters_of_a_span_are_code_points_of_the_text(span, covered):
    start, end = SENTENCE.characters(span)
    assert TEXT[start:end] == covered


def test_length_of_a_sentence_is_its_words():
    assert len(SENTENCE) == 5
    assert len(Sentence("1:1", (), ())) == 0


def test_passage_text_is_the_passage():
    document = Document("1", TEXT, (Passage(9, 19, "title"),))
    assert document.passage_text(document.passages[0]) == "😀 reverses"


@given(documents())
@settings(max_examples=30)
def test_misplaced_finds_no_mention_of_a_sound_document(document):
    assert list(document.misplaced()) == []


def test_misplaced_finds_what_does_not_cover_its_text():
    good, bad = Mention(0, 8, "Chemical", "Naloxone"), Mention(1, 9, "Chemical", "Naloxone")
    assert list(Document("1", TEXT, mentions=(good, bad)).misplaced()) == [bad]
    assert list(Document("1", TEXT, mentions=None).misplaced()) == []


@given(documents())
@settings(max_examples=30)
def test_documents_cross_a_process_whole(document):
    assert pickle.loads(pickle.dumps(document)) == document


@pytest.mark.parametrize("noun", [SENTENCE, Span(0, 1, "x"), Document("1", TEXT)])
def test_nouns_are_immutable(noun):
    name = noun.__slots__[0]
    with pytest.raises(FrozenInstanceError):
        setattr(noun, name, None)
