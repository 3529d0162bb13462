import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import documents

from raybio.bio_output import Malformed
from raybio.bulk_tagging import tagging
from raybio.bulk_tagging.tagging import MalformedLine, cut, joined, tag_documents
from raybio.entities import Document, Mention, Passage, Relation, Sentence, Span
from raybio.taggers import Tags
from raybio.taggers.selection import Selection

SKIPPED = ("other_abstract", "vernacular_title")


class Capitals:
    """Tags each capitalised word; fails on any sentence that holds a word of `poison`."""

    labels = ("Name",)

    def __init__(self, poison=()):
        self.poison = set(poison)
        self.calls = 0
        self.counts = {}

    def tag(self, sentences):
        self.calls += 1
        if self.poison.intersection(word for sentence in sentences for word in sentence.words):
            raise RuntimeError("poisoned")
        return [
            Tags(tuple("B-Name" if w[0].isupper() else "O" for w in s.words), (0.5,) * len(s))
            for s in sentences
        ]


def test_documents_come_back_with_their_mentions_and_nothing_else_changed():
    before = Document(
        "1",
        "Alpha beta.\nGamma Delta.",
        (Passage(0, 11, "title"), Passage(12, 24, "other_abstract")),
        mentions=(Mention(6, 10, "Old", "beta", id="T1"),),
        relations=(Relation("CID", (("Arg1", "T1"), ("Arg2", "T1"))),),
        attributes={"journal": "J"},
    )
    tagged = tag_documents([before], Capitals(), SKIPPED, "a.jsonl")
    assert tagged.documents == [
        Document(
            "1",
            before.text,
            before.passages,
            mentions=(Mention(0, 5, "Name", "Alpha", 0.5),),
            attributes={"journal": "J"},
        )
    ]
    assert (tagged.rejected, tagged.sentences, tagged.words) == ([], 1, 3)


def test_what_a_tagger_wrote_and_nobody_could_read_is_kept():
    class Careless(Capitals):
        def tag(self, sentences):
            missing = Malformed("missing word", None, "", range(1, 3))
            extra = Malformed("extra word", 7, "Zeta:O", range(0))
            return [replace(tags, malformed=(missing, extra)) for tags in super().tag(sentences)]

    text = "Alpha beta gamma."
    tagged = tag_documents([Document("1", text)], Careless(), SKIPPED, "")
    assert tagged.malformed == [
        MalformedLine("1", "missing word", "", 6, 16, "beta gamma"),
        MalformedLine("1", "extra word", "Zeta:O", 0, 0, ""),
    ]
    assert joined([tagged, tagged]).malformed == [*tagged.malformed, *tagged.malformed]


def test_passages_of_any_kind_are_tagged_but_for_those_to_skip():
    document = Document("1", "Alpha. Beta.", (Passage(0, 6, "fig_caption"), Passage(7, 12, "ref")))
    assert tag_documents([document], Capitals(), SKIPPED, "").sentences == 2
    assert tag_documents([document], Capitals(), ("ref",), "").sentences == 1


def test_sentences_that_a_document_brings_are_tagged_as_they_are():
    sentence = Sentence("1:0", ("Alpha beta", "."), (0, 10), "1")
    [document] = tag_documents(
        [Document("1", "Alpha beta.", sentences=(sentence,))], Capitals(), SKIPPED, ""
    ).documents
    assert document.mentions == (Mention(0, 10, "Name", "Alpha beta", 0.5),)
    assert document.sentences == (replace(sentence, gold=(Span(0, 1, "Name"),)),)


@given(st.lists(documents(), max_size=5))
@settings(max_examples=30)
def test_every_document_is_tagged_in_order_with_exact_offsets(before):
    tagged = tag_documents(before, Capitals(), SKIPPED, "a.jsonl")
    assert [(d.id, d.text) for d in tagged.documents] == [(d.id, d.text) for d in before]
    assert not any(list(document.misplaced()) for document in tagged.documents)
    assert all(document.mentions is not None for document in tagged.documents)


@given(st.lists(documents(), max_size=5), st.sampled_from([SKIPPED, ("abstract",)]))
@settings(max_examples=30)
def test_what_was_cut_before_is_tagged_alike(before, skipped):
    ready = pickle.loads(pickle.dumps(cut(before, skipped)))
    late = tag_documents(before, Capitals(), skipped, "a")
    assert tag_documents(before, Capitals(), skipped, "a", cut=ready) == late


def test_a_document_that_was_cut_holds_its_words_and_a_very_long_one_does_not(monkeypatch):
    monkeypatch.setattr(tagging, "_LONGEST_CUT", 11)
    documents = [Document("1", "Alpha beta."), Document("2", "Gamma deltas.")]
    short, long = cut(documents, SKIPPED)
    assert [sentence.words for sentence in short] == [("Alpha", "beta", ".")]
    assert long is None
    assert tag_documents(documents, Capitals(), SKIPPED, "", cut=(short, long)).words == 6


def test_words_that_a_document_brings_are_kept_with_what_was_found_in_them():
    gold = (Span(1, 2, "Old"),)
    brought = Sentence("7:1", ("Alpha-beta", "Gamma", "delta"), (0, 11, 17), "7", gold)
    before = [Document("7", "Alpha-beta Gamma delta", sentences=(brought,)), Document("8", "Zeta eta.")]
    selection = Selection(rename={"Name": "Gene"})
    for ready in ((), cut(before, SKIPPED)):
        kept, split = tag_documents(before, Capitals(), SKIPPED, "a.tsv", selection, ready).documents
        assert kept.sentences == (replace(brought, gold=(Span(0, 1, "Gene"), Span(1, 2, "Gene"))),)
        assert [mention.text for mention in kept.mentions] == ["Alpha-beta", "Gamma"]
        assert (split.sentences, [mention.text for mention in split.mentions]) == ((), ["Zeta"])


@given(st.sets(st.integers(0, 30), max_size=5), st.integers(1, 31))
def test_only_the_documents_a_tagger_fails_on_are_rejected(bad, count):
    poison = {f"word{i}" for i in bad}
    before = [Document(str(i), f"Name word{i}.") for i in range(count)]
    tagged = tag_documents(before, Capitals(poison), SKIPPED, "a.jsonl")
    assert [d.id for d in tagged.documents] == [str(i) for i in range(count) if i not in bad]
    assert [r.document_id for r in tagged.rejected] == [str(i) for i in range(count) if i in bad]
    assert all(document.mentions for document in tagged.documents)


def test_a_rejected_document_can_be_replayed():
    tagged = tag_documents([Document("7", "Bad text.")], Capitals(["Bad"]), SKIPPED, "a.jsonl")
    [rejected] = tagged.rejected
    assert (rejected.source, rejected.place, rejected.raw) == ("a.jsonl", "document 7", "Bad text.")
    assert rejected.reason == "the tagger failed on it: RuntimeError: poisoned"
    assert rejected.remedy


def test_culprits_are_found_by_halving():
    tagger = Capitals(["word63"])
    tag_documents([Document(str(i), f"word{i}") for i in range(128)], tagger, SKIPPED, "")
    assert tagger.calls == 1 + 2 * 7


@pytest.mark.parametrize("before", [[], [Document("1", "")], [Document("1", " \n ")]])
def test_documents_without_text_have_no_mentions(before):
    tagged = tag_documents(before, Capitals(), SKIPPED, "a.jsonl")
    assert [document.mentions for document in tagged.documents] == [()] * len(before)
    assert (tagged.rejected, tagged.words) == ([], 0)
