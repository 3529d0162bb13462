from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybio.iob2 import orphans
from raybio.label_schemes import LabelScheme, recognise
from raybio.taggers.aggregation import legal_tags, softmax, word_votes

# Three words of 3, 1 and 4 subwords.
PROBABILITIES = np.array(
    [
        [0.50, 0.30, 0.20],
        [0.10, 0.60, 0.30],
        [0.10, 0.50, 0.40],
        [0.20, 0.30, 0.50],
        [0.10, 0.20, 0.70],
        [0.40, 0.35, 0.25],
        [0.00, 0.20, 0.80],
        [0.90, 0.10, 0.00],
    ],
    dtype=np.float32,
)
STARTS = np.array([0, 3, 4])


def decided(decision, probabilities=PROBABILITIES, starts=STARTS):
    votes, scores = word_votes(probabilities, starts, decision)
    chosen = votes.argmax(axis=1)
    return chosen.tolist(), scores[np.arange(len(chosen)), chosen].tolist()


@pytest.mark.parametrize(
    ("decision", "tags", "scores"),
    [
        ("first", [0, 2, 2], [0.5, 0.5, 0.7]),
        ("last", [1, 2, 0], [0.5, 0.5, 0.9]),
        # Means: (.233 .467 .3), (.2 .3 .5), (.35 .2125 .4375).
        ("mean", [1, 2, 2], [1.4 / 3, 0.5, 1.75 / 4]),
        # Ballots: 0 1 1; 2; 2 0 2 0, where the tie goes to the tag of the earlier subword.
        ("majority", [1, 2, 2], [1.4 / 3, 0.5, 1.75 / 4]),
    ],
)
def test_word_decisions_computed_by_hand(decision, tags, scores):
    chosen, found = decided(decision)
    assert chosen == tags
    assert found == pytest.approx(scores)


def one_hot(best, tags=5):
    return np.eye(tags, dtype=np.float32)[best] * 0.9 + 0.02


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=12), min_size=1, max_size=5))
def test_the_majority_is_the_most_common_tag_and_the_first_met_of_equals(words_of_votes):
    starts = np.cumsum([0, *map(len, words_of_votes)])[:-1]
    best = [tag for one in words_of_votes for tag in one]
    # Counter keeps the order in which it met them, and so does `most_common` among equals.
    expected = [Counter(one).most_common(1)[0][0] for one in words_of_votes]
    assert decided("majority", one_hot(best), starts)[0] == expected


def test_a_tie_in_a_very_long_word_goes_to_the_earlier_subword():
    # Tags 1 and 3 have 1,000 ballots each, late in the word, and 3 has the first of them.
    best = [0, 2, 4] * 900 + [3, 1] * 1000
    assert decided("majority", one_hot(best), np.array([0]))[0] == [3]


TAGS = ("O", "B-x", "I-x", "B-y", "I-y")


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=5, max_size=5), min_size=1, max_size=4))
def test_legal_tags_are_the_most_probable_that_are_legal(rows):
    scores = np.array(rows) / np.sum(rows, axis=1, keepdims=True)

    def probability(path):
        return float(np.prod(scores[np.arange(len(path)), list(path)]))

    legal = [path for path in product(range(5), repeat=len(rows)) if not orphans([TAGS[tag] for tag in path])]
    found = legal_tags(scores.argmax(axis=1), scores, LabelScheme("IOB2", tuple(TAGS)))
    assert not orphans([TAGS[tag] for tag in found])
    assert probability(found) == pytest.approx(max(map(probability, legal)))


@pytest.mark.parametrize(
    "names",
    [
        ["O", "B-x", "I-x", "E-x", "S-x"],
        ["O", "B-x", "I-x", "L-x", "U-x"],
        ["O", "B-x", "I-x", "I-y", "B-z"],
        ["O", "[PAD]", "x", "y", "z"],
        ["B-x", "I-x", "B-y", "I-y", "S-y"],
    ],
)
@given(st.lists(st.lists(st.floats(0.01, 1), min_size=5, max_size=5), min_size=1, max_size=4))
@settings(max_examples=25)
def test_each_scheme_has_its_own_legal_tags(names, rows):
    scheme = recognise(names)
    scores = np.array(rows) / np.sum(rows, axis=1, keepdims=True)

    def legal(path):
        around = ["", *(scheme.tags[tag] for tag in path), ""]
        return all(scheme.may_follow(tag, before) for before, tag in pairwise(around))

    def probability(path):
        return float(np.prod(scores[np.arange(len(path)), list(path)]))

    found = legal_tags(scores.argmax(axis=1), scores, scheme)
    assert legal(found)
    best = max(probability(path) for path in product(range(5), repeat=len(rows)) if legal(path))
    assert probability(found) == pytest.approx(best)


def test_where_nothing_is_legal_the_best_tags_stand():
    scheme = recognise(["B-x", "I-x", "E-x"])
    chosen = np.array([2])
    assert legal_tags(chosen, np.array([[0.1, 0.2, 0.7]]), scheme).tolist() == [2]
    assert legal_tags(np.array([], dtype=int), np.empty((0, 3)), scheme).tolist() == []


def test_a_tag_of_probability_0_is_no_obstacle():
    scores = np.array([[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
    found = legal_tags(scores.argmax(axis=1), scores, LabelScheme("IOB2", tuple(TAGS)))
    assert len(found) == 2 and not orphans([TAGS[tag] for tag in found])


def test_softmax_bears_large_logits():
    shares = softmax(np.array([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(shares, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-6)
    assert softmax(np.empty((0, 3), dtype=np.float32)).shape == (0, 3)
