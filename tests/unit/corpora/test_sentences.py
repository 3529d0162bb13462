from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybio.corpora import read_corpus
from raybio.corpora.sentences import Misalignment, align_mentions, split_document
from raybio.entities import Document, Mention, Passage, Sentence, Span


def test_sentences_a_document_brings_are_kept():
    own = (Sentence("x:0", ("A", "b"), (0, 2)),)
    assert split_document(Document("x", "A b", sentences=own)) is own


def test_a_document_without_passages_is_one_text_passage():
    document = Document("x", "One. Two.")
    assert [sentence.words for sentence in split_document(document)] == [("One", "."), ("Two", ".")]
    assert split_document(document, skipped={"text"}) == ()
    assert split_document(Document("x", "")) == ()


def mention(text: str, part: str, label: str = "Disease", concept: str = "") -> Mention:
    start = text.index(part)
    return Mention(start, start + len(part), label, part, concept=concept)


TEXT = "LABEL: Renal-cell carcinoma. Anti-TNF alpha therapy failed."
SENTENCES = split_document(Document("d", TEXT, (Passage(7, len(TEXT), "abstract", "LABEL"),)))


def align(*mentions: Mention) -> tuple[list[list[Span]], list[tuple[str, str, bool]]]:
    heard: list[Misalignment] = []
    aligned = align_mentions(mentions, SENTENCES, heard.append)
    gold = [list(sentence.gold or ()) for sentence in aligned]
    return gold, [(item.mention.text, item.reason, item.kept) for item in heard]


def test_mentions_become_gold_spans_of_words():
    assert align(mention(TEXT, "Renal-cell carcinoma"), mention(TEXT, "TNF alpha", "Gene")) == (
        [[Span(0, 4, "Disease")], [Span(2, 4, "Gene")]],
        [],
    )


def test_an_annotated_document_without_mentions_has_empty_gold_and_no_none():
    sentences = split_document(Document("d", "One. Two.", mentions=()))
    assert [sentence.gold for sentence in sentences] == [(), ()]


def test_a_mention_inside_a_word_grows_to_it_and_is_heard_of():
    gold, heard = align(mention(TEXT, "cinoma"))
    assert gold == [[Span(3, 4, "Disease")], []]
    assert heard == [("cinoma", "off word boundaries", True)]


def test_mentions_without_a_span_are_heard_of():
    across, outside = mention(TEXT, "carcinoma. Anti"), mention(TEXT, "LABEL")
    assert align(across, outside, Mention(9, 9, "Disease", "")) == (
        [[], []],
        [
            ("carcinoma. Anti", "across sentences", False),
            ("LABEL", "outside sentences", False),
            ("", "outside sentences", False),
        ],
    )


def test_of_overlapping_mentions_the_longest_stays_and_equal_ones_share_a_span():
    long, short = mention(TEXT, "Renal-cell carcinoma"), mention(TEXT, "carcinoma")
    again = mention(TEXT, "Renal-cell carcinoma", concept="MESH:D002292")
    assert align(short, long, again) == (
        [[Span(0, 4, "Disease")], []],
        [("carcinoma", "overlapped", False)],
    )


@given(st.text(alphabet="ab. -", max_size=60), st.data())
def test_every_mention_gets_a_span_or_is_heard_of(text, data):
    place = st.integers(0, len(text))
    pairs = data.draw(st.lists(st.tuples(place, place, st.sampled_from("XY")), max_size=8))
    mentions = tuple(
        Mention(min(a, b), max(a, b), label, text[min(a, b) : max(a, b)]) for a, b, label in pairs
    )
    heard: list[Misalignment] = []
    sentences = split_document(Document("d", text, mentions=mentions), on_misaligned=heard.append)
    spans = {
        (*sentence.characters(span), span.label) for sentence in sentences for span in sentence.gold or ()
    }
    exact = {m for m in mentions if (m.start, m.end, m.label) in spans}
    assert set(mentions) == exact | {item.mention for item in heard}
    assert exact.isdisjoint(item.mention for item in heard)


CORPORA = {
    "BC5CDR/BC5CDR_TrainDev.PubTator": "pubtator",
    "BC5CDR/BC5CDR_Test.PubTator": "pubtator",
    "BioRED/BioRED_Test.PubTator": "pubtator",
    "ChemProt/dev.json": "chemprot",
}


@pytest.mark.parametrize("name", CORPORA)
def test_hardly_a_gold_mention_is_cut(corpora, name):
    mentions, cut = 0, []
    for document in read_corpus(str(corpora / name), CORPORA[name]):
        mentions += len(document.mentions)
        split_document(replace(document, sentences=()), on_misaligned=cut.append)
    assert sum(each.reason == "across sentences" for each in cut) <= 0.0005 * mentions
