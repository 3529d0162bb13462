"""What teachers say of a sentence, as shares of tags."""

import pytest

from raybio.taggers import Tags
from raybio.training.teachers import mean_shares

TAGS = ("O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease")


def test_what_an_answer_leaves_goes_to_the_other_tags_alike():
    [shares] = mean_shares([Tags(("B-Chemical",), (0.6,))], TAGS)
    assert shares.tolist() == pytest.approx([0.1, 0.6, 0.1, 0.1, 0.1])


def test_teachers_that_disagree_share_a_word():
    sure = [Tags(("O", "B-Disease"), (1.0, 1.0)), Tags(("O", "O"), (1.0, 1.0))]
    first, second = mean_shares(sure, TAGS).tolist()
    assert first == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert second == [0.5, 0.0, 0.0, 0.5, 0.0]


def test_shares_sum_to_one_for_every_word():
    answers = [Tags(("O", "B-Disease", "I-Disease"), (0.5, 0.2, 0.9)), Tags(("O", "O", "O"), (0.7, 0.1, 1.0))]
    assert mean_shares(answers, TAGS).sum(axis=1).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_a_teacher_that_left_a_word_out_is_not_asked_for_it():
    answers = [Tags(("O", "O"), (0.0, 0.0)), Tags(("B-Disease", "O"), (1.0, 0.0))]
    assert mean_shares(answers, TAGS).tolist() == [[0.0, 0.0, 0.0, 1.0, 0.0], [0.0] * 5]
