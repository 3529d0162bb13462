from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts, words

from raybio.alignment import SubwordEncoder, Subwords, windows
from raybio.errors import ModelError


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return SubwordEncoder(tokenizer)


def subwords(length):
    return Subwords(tuple(range(100, 100 + length)), tuple(range(length)))


sizes = st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(st.integers(0, 200), sizes)
def test_windows_are_pieces_whose_owned_parts_tile_the_sentence(length, size_and_overlap):
    size, overlap = size_and_overlap
    sentence = subwords(length)
    cut = windows(sentence, 7, size, overlap)
    owned = [i for window in cut for i in range(window.own_start, window.own_end)]
    assert owned == list(range(length))
    for window in cut:
        assert window.sentence == 7
        assert len(window.ids) == min(size, length)
        assert window.ids == sentence.ids[window.start : window.start + len(window.ids)]
        assert window.start <= window.own_start < window.own_end <= window.start + len(window.ids)
    for left, right in pairwise(cut):
        assert left.start + len(left.ids) - right.start >= overlap


@given(st.integers(1, 200), sizes)
def test_no_window_gives_a_subword_more_context_than_its_owner(length, size_and_overlap):
    cut = windows(subwords(length), 0, *size_and_overlap)

    def context(window, position):
        """Subwords on the side where fewer are; the sentence's own ends cut nothing off."""
        end = window.start + len(window.ids)
        left = position - window.start if window.start else inf
        right = end - 1 - position if end < length else inf
        return min(left, right)

    for owner in cut:
        for position in range(owner.own_start, owner.own_end):
            seen_by = [w for w in cut if w.start <= position < w.start + len(w.ids)]
            assert context(owner, position) == max(context(window, position) for window in seen_by)


def test_windows_of_a_sentence_drawn_by_hand():
    cut = windows(subwords(10), 0, 6, 2)
    assert [(w.start, len(w.ids), w.own_start, w.own_end) for w in cut] == [(0, 6, 0, 5), (4, 6, 5, 10)]
    cut = windows(subwords(11), 0, 6, 2)
    assert [(w.start, w.own_start, w.own_end) for w in cut] == [(0, 0, 5), (4, 5, 7), (5, 7, 11)]


def test_a_sentence_that_fits_is_one_window_and_an_empty_one_none():
    assert [(w.start, w.own_start, w.own_end) for w in windows(subwords(6), 0, 6, 5)] == [(0, 0, 6)]
    assert windows(subwords(0), 0, 6, 5) == []


@pytest.mark.parametrize(("size", "overlap"), [(4, 4), (4, 5), (4, -1), (0, 0)])
def test_an_overlap_that_does_not_fit_is_refused(size, overlap):
    with pytest.raises(ValueError, match=f"overlap of {overlap} subwords does not fit in windows of {size}"):
        windows(subwords(9), 0, size, overlap)


def test_first_of_word():
    assert Subwords((5, 6, 7, 8), (0, 0, 1, 2)).first_of_word() == [True, False, True, True]
    assert Subwords((), ()).first_of_word() == []


def assert_equals_the_tokenizer(encoder, tokenizer, sentence):
    """Compare with the tokenizer's own answer, in which words of no subword are missing."""
    found = encoder.encode([sentence])[0]
    whole = tokenizer(sentence, is_split_into_words=True, add_special_tokens=False)
    expected = list(zip(whole["input_ids"], whole.word_ids(), strict=True))
    lost = set(range(len(sentence))) - {word for _, word in expected}
    pairs = zip(found.ids, found.words, strict=True)
    kept, filled = [], []
    for identifier, word in pairs:
        (filled if word in lost else kept).append((identifier, word))
    assert kept == expected
    assert filled == [(tokenizer.unk_token_id, word) for word in sorted(lost)]
    assert list(found.words) == sorted(found.words)


@given(st.lists(words() | texts(min_size=1, max_size=12), min_size=1, max_size=6))
@settings(max_examples=300)
def test_words_encode_as_the_tokenizer_does_and_none_is_lost(encoder, tokenizer, sentence):
    assert_equals_the_tokenizer(encoder, tokenizer, sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        ["hydroxychloroquine", "beta-blockers", "IL-2", "5-HT1A", "Na+/K+-ATPase"],
        ["[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]"],
        ["a", "\x00", "b", "\u200b", "\ufeff"],
        ["x" * 101, "." * 700, "字" * 300],
    ],
)
def test_awkward_words_encode_as_the_tokenizer_does(encoder, tokenizer, sentence):
    assert_equals_the_tokenizer(encoder, tokenizer, sentence)


def test_a_word_of_nothing_becomes_the_unknown_token(encoder, tokenizer):
    found = encoder.encode([["\x01", "a"]])[0]
    assert found.ids[0] == tokenizer.unk_token_id
    assert found.words == (0, 1)


def test_sentences_may_be_empty(encoder):
    assert encoder.encode([[], ["a"], []]) == [Subwords((), ()), encoder.encode([["a"]])[0], Subwords((), ())]
    assert encoder.encode([]) == []


class CountingTokenizer:
    """Encodes a word as its length and remembers what it was asked."""

    is_fast = True
    unk_token_id = None
    pad_token_id = 9

    def __init__(self):
        self.asked = []

    def __call__(self, sentences, **_):
        self.asked.extend(word for [word] in sentences)
        return {"input_ids": [[len(word)] if word else [] for [word] in sentences]}


def test_a_word_is_encoded_once_while_there_is_room(monkeypatch):
    monkeypatch.setattr(SubwordEncoder, "_MOST_WORDS", 3)
    counting = CountingTokenizer()
    encoder = SubwordEncoder(counting)
    encoder.encode([["a", "bb"], ["a"]])
    encoder.encode([["bb"]])
    assert sorted(counting.asked) == ["a", "bb"]
    # No room for two more: all is forgotten, and the words at hand are encoded again.
    assert encoder.encode([["a", "ccc", "dddd"]])[0].ids == (1, 3, 4)
    assert sorted(counting.asked) == ["a", "a", "bb", "ccc", "dddd"]
    for i in range(20):
        encoder.encode([["x" * i, "y" * i]])
        assert len(encoder._known) <= 3


def test_padding_stands_for_nothing_where_there_is_no_unknown_token():
    assert SubwordEncoder(CountingTokenizer()).encode([[""]])[0] == Subwords((9,), (0,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"is_fast": False}, "not a fast tokenizer. Save the model with its tokenizer.json"),
        ({"pad_token_id": None}, "neither an unknown nor a padding token. Set one and save it"),
    ],
)
def test_tokenizers_that_cannot_serve_are_refused(changes, message):
    tokenizer = CountingTokenizer()
    vars(tokenizer).update(changes)
    with pytest.raises(ModelError, match=message):
        SubwordEncoder(tokenizer)
