"""Which words an encoder is to fill in, and what it sees in their place."""

import random
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybio.errors import ModelError
from raybio.taggers.special_tokens import special_tokens
from raybio.training.masking import MaskedExampleMaker
from raybio.training.steps import IGNORED

WORDS = "The hydroxychloroquine was stopped after methylprednisolone had caused bradycardia .".split()  # noqa: SIM905


def inputs_and_labels(maker, words, seed):
    """Return (what is read, labels) of a sentence that is one window, without special tokens."""
    [example] = maker.examples(words, random.Random(seed))
    return example.ids[1:-1], example.labels[1:-1]


def test_whole_words_are_hidden_and_the_rest_is_as_it_was(tokenizer):
    maker = MaskedExampleMaker(tokenizer, 0.4, 64, 16)
    pieces = [tokenizer.tokenize(word) for word in WORDS]
    whole = tokenizer.convert_tokens_to_ids([piece for word in pieces for piece in word])
    owner = [i for i, word in enumerate(pieces) for _ in word]
    hidden_words = set()
    for seed in range(50):
        read, reported = inputs_and_labels(maker, WORDS, seed)
        hidden = {owner[at] for at, label in enumerate(reported) if label != IGNORED}
        hidden_words |= hidden
        for at, label in enumerate(reported):
            assert label == (whole[at] if owner[at] in hidden else IGNORED)
            assert owner[at] in hidden or read[at] == whole[at]
    assert hidden_words == set(range(len(WORDS)))


def test_a_share_is_hidden_and_most_of_it_masked(tokenizer):
    maker = MaskedExampleMaker(tokenizer, 0.2, 512, 64)
    words = ["dose"] * 200
    masked = replaced = kept = 0
    for seed in range(50):
        for read, reported in zip(*inputs_and_labels(maker, words, seed), strict=True):
            if reported != IGNORED:
                masked += read == tokenizer.mask_token_id
                kept += read == reported
                replaced += read not in (tokenizer.mask_token_id, reported)
    hidden = masked + replaced + kept
    assert hidden == 50 * 40
    assert masked / hidden == pytest.approx(0.8, abs=0.05)
    assert replaced / hidden == pytest.approx(0.1, abs=0.03)
    assert kept / hidden == pytest.approx(0.1, abs=0.03)


def test_long_words_are_hidden_as_often_as_short_ones(tokenizer):
    maker = MaskedExampleMaker(tokenizer, 0.15, 512, 64)
    words = [*["dose"] * 30, "methylprednisolone"] * 2
    pieces = len(tokenizer.tokenize("methylprednisolone"))
    assert pieces > 3
    long = short = 0
    for seed in range(1000):
        _, reported = inputs_and_labels(maker, words, seed)
        long += reported[30] != IGNORED
        short += reported[0] != IGNORED
    assert short > 100 and 0.8 < long / short < 1.6


def test_a_long_word_alone_is_hidden_too(tokenizer):
    maker = MaskedExampleMaker(tokenizer, 0.01, 64, 16)
    _, reported = inputs_and_labels(maker, ["methylprednisolone"], 1)
    assert len(reported) > 1 and IGNORED not in reported


@given(st.integers(1, 200), st.integers(3, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_hidden_of_a_long_sentence_is_learned_in_one_window(tokenizer, length, max_length, data):
    overlap = data.draw(st.integers(0, max_length - 3))
    whole = MaskedExampleMaker(tokenizer, 0.3, 512, 0).examples(["."] * length, random.Random(3))
    cut = MaskedExampleMaker(tokenizer, 0.3, max_length, overlap).examples(["."] * length, random.Random(3))
    prefix, suffix = special_tokens(tokenizer)
    assert all(len(one.ids) == len(one.labels) <= max_length for one in cut)
    assert all(one.ids[: len(prefix)] == prefix and one.ids[-len(suffix) :] == suffix for one in cut)
    reported = [[label for one in form for label in one.labels if label != IGNORED] for form in (whole, cut)]
    assert reported[0] == reported[1] and reported[0]


def test_the_same_seed_hides_the_same(tokenizer):
    maker = MaskedExampleMaker(tokenizer, 0.4, 64, 16)
    assert inputs_and_labels(maker, WORDS, 5) == inputs_and_labels(maker, WORDS, 5)
    assert inputs_and_labels(maker, WORDS, 5) != inputs_and_labels(maker, WORDS, 6)


def test_a_tokenizer_without_a_mask_is_refused(tokenizer):
    bare = deepcopy(tokenizer)
    bare.mask_token = None
    with pytest.raises(ModelError, match="no mask token"):
        MaskedExampleMaker(bare, 0.15, 64, 16)
