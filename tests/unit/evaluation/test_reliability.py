"""Whether scores are the share of entities that is right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybio.evaluation import evaluate
from raybio.evaluation.reliability import Reliability, entities_of, reliability, reliability_figures
from raybio.evaluation.tables import render_evaluation

GOLD = [["B-Drug", "I-Drug", "O", "B-Pain"], ["O", "B-Drug"]]
PREDICTED = [["B-Drug", "I-Drug", "O", "B-Drug"], ["B-Drug", "B-Drug"]]
SCORES = [[0.9, 0.8, 0.99, 0.3], [0.1, 1.0]]


def test_an_entity_has_the_score_of_its_least_certain_word_and_is_right_where_gold_has_it() -> None:
    scores, right = entities_of(GOLD, PREDICTED, SCORES)
    assert scores.tolist() == [0.8, 0.3, 0.1, 1.0]
    assert right.tolist() == [True, False, False, True]


def test_the_error_is_the_weighted_distance_of_bins_from_the_diagonal() -> None:
    found = reliability(np.array([0.81, 0.85, 0.3, 1.0]), np.array([True, False, False, True]))
    assert [(one.entities, one.right) for one in found.bins] == [(1, 0.0), (2, 0.5), (1, 1.0)]
    assert found.ece == pytest.approx((0.3 + 2 * (0.83 - 0.5) + 0) / 4)


def test_without_entities_there_is_no_error() -> None:
    assert reliability(*entities_of([["O"]], [["O"]], [[0.9]])) == Reliability(0.0, ())


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_every_entity_is_in_one_bin_and_the_error_a_fraction(entities: list[tuple[float, bool]]) -> None:
    scores, right = map(np.array, zip(*entities, strict=True))
    found = reliability(scores, right)
    assert sum(one.entities for one in found.bins) == len(entities)
    assert 0 <= found.ece <= 1
    assert sum(one.entities * one.right for one in found.bins) == pytest.approx(right.sum())


def test_scores_before_calibration_stand_beside_those_after_it() -> None:
    plain = reliability_figures(GOLD, PREDICTED, SCORES, [(), ()])
    assert plain["uncalibrated"] is None
    assert plain["bins"][0] == {"entities": 1, "score": 0.1, "right": 0.0}
    # Of a cascade, the LLM's sentences have scores that were never calibrated.
    both = reliability_figures(GOLD, PREDICTED, SCORES, [(1.0, 1.0, 1.0, 1.0), ()])
    assert both["ece"] == plain["ece"]
    assert both["uncalibrated"]["bins"][-1] == {"entities": 3, "score": 1.0, "right": pytest.approx(2 / 3)}


def test_the_table_says_the_error_where_it_was_measured() -> None:
    figures = evaluate(GOLD, PREDICTED).to_dict()
    assert "calibration" not in render_evaluation(figures)
    measured = {"ece": 0.031, "bins": [], "uncalibrated": None}
    assert "entities' scores: 3.1 points\n" in render_evaluation({**figures, "reliability": measured})
    measured["uncalibrated"] = {"ece": 0.074, "bins": []}
    assert "3.1 points (7.4 before calibration)\n" in render_evaluation({**figures, "reliability": measured})
