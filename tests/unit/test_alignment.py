from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts, words
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from raybio import alignment
from raybio.alignment import SubwordEncoder, Subwords, windows
from raybio.corpora.splitting import split_words
from raybio.errors import ModelError
from raybio.word_cache import WordCache


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return SubwordEncoder(tokenizer)


def subwords(length):
    return Subwords(tuple(range(100, 100 + length)), tuple(range(length)), tuple(range(length)))


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
    assert Subwords((5, 6, 7, 8), (0, 0, 1, 2), (0, 2, 3)).first_of_word() == [True, False, True, True]
    assert Subwords((), (), ()).first_of_word() == []


def test_last_of_word():
    assert Subwords((5, 6, 7, 8), (0, 0, 1, 2), (0, 2, 3)).last_of_word() == [False, True, True, True]
    blank_first = Subwords((1, 5, 6, 7), (0, 0, 0, 1), (1, 3))
    assert blank_first.last_of_word() == [False, False, True, True]
    two_words_in_one = Subwords((5, 6), (0, 1), (0, 1, 1))
    assert two_words_in_one.last_of_word() == [True, True]
    assert Subwords((), (), ()).last_of_word() == []


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
    nothing = Subwords((), (), ())
    assert encoder.encode([[], ["a"], []]) == [nothing, encoder.encode([["a"]])[0], nothing]
    assert encoder.encode([]) == []


class CountingTokenizer:
    """Encodes a word as its length and remembers what it was asked."""

    is_fast = True
    unk_token_id = None
    pad_token_id = 9

    def __init__(self):
        self.asked = []

    def get_vocab(self):
        return {}

    def __call__(self, texts, **_):
        self.asked.extend(texts)
        return {"input_ids": [[len(word) for word in text.split()] for text in texts]}


def test_a_word_is_encoded_once_while_there_is_room(monkeypatch):
    monkeypatch.setattr(alignment, "WordCache", lambda: WordCache(1000))
    counting = CountingTokenizer()
    encoder = SubwordEncoder(counting)
    assert not encoder.sees_blanks
    counting.asked.clear()
    encoder.encode([["a", "bb"], ["a"]])
    encoder.encode([["bb"]])
    assert sorted(counting.asked) == ["a", "bb"]
    # Where there is no room for more, all is forgotten; the words of one call are all encoded.
    many = ["a", *("x" * length for length in range(2, 40))]
    assert encoder.encode([many])[0].ids == (1, *range(2, 40))
    assert len(encoder._known) < 4
    encoder.encode([["a"]])
    assert counting.asked.count("a") == 2


def test_padding_stands_for_nothing_where_there_is_no_unknown_token():
    assert SubwordEncoder(CountingTokenizer()).encode([[""]])[0] == Subwords((9,), (0,), (0,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"is_fast": False}, "not a fast tokenizer. Save the model with its tokenizer.json"),
        ({"pad_token_id": None}, "no token for a word of nothing. Set unk_token and save it"),
    ],
)
def test_tokenizers_that_cannot_serve_are_refused(changes, message):
    tokenizer = CountingTokenizer()
    vars(tokenizer).update(changes)
    with pytest.raises(ModelError, match=message):
        SubwordEncoder(tokenizer)


# Blanks -----------------------------------------------------------------------------------------


def word_pieces(*vocabulary):
    """Return a tokenizer whose words are what blanks part, cut into the longest pieces of `vocabulary`."""
    model = models.WordPiece({token: i for i, token in enumerate(("[UNK]", *vocabulary))}, unk_token="[UNK]")
    backend = Tokenizer(model)
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")


def test_the_words_of_a_byte_level_bpe_stand_apart(smollm2):
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    words = ("Naloxone", "reverses", "the", "effect", ".")
    found = SubwordEncoder(tokenizer).encode([words])[0]
    pieces = tokenizer.convert_ids_to_tokens(list(found.ids))
    assert [pieces[first] for first in found.firsts] == ["ĠN", "Ġrevers", "Ġthe", "Ġeffect", "Ġ."]
    assert tokenizer.decode(list(found.ids)) == " Naloxone reverses the effect ."
    written = SubwordEncoder(tokenizer, "as-written").encode([words], [(0, 9, 18, 22, 28)])[0]
    assert tokenizer.decode(list(written.ids)) == "Naloxone reverses the effect."
    glued = SubwordEncoder(tokenizer, "glued").encode([words])[0]
    assert tokenizer.decode(list(glued.ids)) == "Naloxonereversestheeffect."


def test_a_blank_of_its_own_belongs_to_the_word_before_it(smollm2):
    """SmolLM2 reads each digit apart from the blank before it."""
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    words, starts = ("7", "of", "12"), (0, 2, 5)
    for found in SubwordEncoder(tokenizer).encode([words]):
        assert tokenizer.convert_ids_to_tokens(list(found.ids)) == ["Ġ", "7", "Ġof", "Ġ", "1", "2"]
        assert (found.words, found.firsts) == ((0, 0, 1, 1, 2, 2), (1, 2, 4))
    for found in SubwordEncoder(tokenizer, "as-written").encode([words], [starts]):
        assert tokenizer.convert_ids_to_tokens(list(found.ids)) == ["7", "Ġof", "Ġ", "1", "2"]
        assert (found.words, found.firsts) == ((0, 1, 1, 2, 2), (0, 1, 3))


def test_words_that_begin_within_a_subword_begin_with_it():
    tokenizer = word_pieces("(clon", "##idine", "##).", "a", "##-b")
    encoder = SubwordEncoder(tokenizer, "as-written")
    words = ("(", "clonidine", ")", ".", "a", "-", "b")
    found = encoder.encode([words], [(0, 1, 10, 11, 13, 14, 15)])[0]
    assert tokenizer.convert_ids_to_tokens(list(found.ids)) == ["(clon", "##idine", "##).", "a", "##-b"]
    # "##" says that the model saw no word begin there.
    assert (found.words, found.firsts) == ((0, 1, 2, 4, 5), (0, 0, 0, 0, 3, 3, 3))


def test_a_word_of_nothing_is_unknown_in_a_text_too():
    encoder = SubwordEncoder(word_pieces("a", "b", "ab"), "as-written")
    found = encoder.encode([("\x01", "a", "\x01", "b", "\x01")], [(0, 2, 4, 6, 8)])[0]
    assert found == Subwords((0, 1, 0, 2, 0), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4))
    # Within a word that the model reads as one it is a piece of it.
    assert encoder.encode([("a", "\x01", "b")], [(0, 1, 2)])[0] == Subwords((3,), (0,), (0, 0, 0))


@pytest.mark.parametrize("starts", [None, [(0, 0)], [(5, 2)], [(3, 9)]])
def test_words_stand_one_blank_apart_where_the_text_does_not_say_or_has_more_white_space(starts):
    encoder = SubwordEncoder(word_pieces("ab", "c", "abc"), "as-written")
    assert encoder.encode([("ab", "c")], starts)[0].ids == (1, 2)
    assert encoder.encode([("ab", "c")], [(7, 9)])[0].ids == (3,)


@given(st.lists(texts(min_size=1, max_size=12), max_size=4))
@settings(max_examples=200)
def test_as_written_no_word_is_lost_whatever_the_text(tokenizer, drawn):
    encoder = SubwordEncoder(tokenizer, "as-written")
    spans = [split_words(text) for text in drawn]
    sentences = [[text[a:b] for a, b in found] for text, found in zip(drawn, spans, strict=True)]
    encoded = encoder.encode(sentences, [[a for a, _ in found] for found in spans])
    for sentence, found in zip(sentences, encoded, strict=True):
        assert len(found.firsts) == len(sentence)
        assert list(found.firsts) == sorted(found.firsts) and list(found.words) == sorted(found.words)
        assert all(0 <= first < len(found.ids) for first in found.firsts)
        assert len(found.ids) == len(found.words) and all(word < len(sentence) for word in found.words)
