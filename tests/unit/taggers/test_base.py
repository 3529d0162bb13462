import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LABELS, documents

from raybio.corpora.sentences import split_document
from raybio.entities import Document, Mention, Passage, Sentence
from raybio.iob2 import spans_from_tags, tag_set
from raybio.taggers import Tags, place_mentions

TAGS = tag_set(LABELS)


def tags_for(data, sentences):
    return [
        Tags(
            tuple(data.draw(st.lists(st.sampled_from(TAGS), min_size=len(s), max_size=len(s)))),
            tuple(data.draw(st.lists(st.floats(0, 1), min_size=len(s), max_size=len(s)))),
        )
        for s in sentences
    ]


@given(documents(), st.data())
@settings(max_examples=60)
def test_mentions_cover_their_text_whatever_the_document_and_its_tags(document, data):
    sentences = split_document(document)
    tagged = tags_for(data, sentences)
    mentions = place_mentions(document, sentences, tagged)
    assert all(document.text[m.start : m.end] == m.text != "" for m in mentions)
    assert [m.label for m in mentions] == [s.label for t in tagged for s in spans_from_tags(t.tags)]
    assert all(0 <= m.score <= 1 for m in mentions)


TEXT = "Title here.\nClonidine 😀 lowers blood pressure."
DOCUMENT = Document("1", TEXT, (Passage(0, 11, "title"), Passage(12, len(TEXT), "abstract")))


def test_mentions_stand_in_order_with_the_score_of_their_least_certain_word():
    title, abstract = split_document(DOCUMENT)
    tagged = [
        Tags(("O", "O", "O"), (0.9, 0.9, 0.9)),
        Tags(("B-Chemical", "O", "O", "B-Disease", "I-Disease", "O"), (0.75, 0.1, 0.2, 0.5, 0.25, 1.0)),
    ]
    assert place_mentions(DOCUMENT, [title, abstract], tagged) == [
        Mention(12, 21, "Chemical", "Clonidine", 0.75),
        Mention(31, 45, "Disease", "blood pressure", 0.25),
    ]


def test_as_many_tags_as_sentences_are_asked_for():
    with pytest.raises(ValueError, match="zip"):
        place_mentions(DOCUMENT, split_document(DOCUMENT), [])
    assert place_mentions(DOCUMENT, [Sentence("1:0", (), ())], [Tags((), ())]) == []
