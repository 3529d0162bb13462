import json

import pytest

from raybio.evaluation import evaluate
from raybio.evaluation.disagreements import find_disagreements
from raybio.evaluation.parallel import read_parallel
from raybio.evaluation.significance import paired_difference
from raybio.evaluation.tables import (
    align,
    p_value,
    render_difference,
    render_disagreements,
    render_evaluation,
)

GOLD = [["B-X", "I-X", "O"], ["O", "B-Y"]]
PREDICTED = [["O", "I-X", "O"], ["O", "B-Y"]]


def test_columns_line_up_words_left_and_figures_right():
    assert align(("name", "F1"), [("a", "7.00"), ("longer", "10.00")]) == [
        "name       F1",
        "a        7.00",
        "longer  10.00",
    ]


def test_both_scorers_are_labelled_on_every_line():
    text = render_evaluation(evaluate(GOLD, PREDICTED).to_dict())
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "2 sentences, 5 words; scores in percent"
    assert "paper all 2 2 50.00 50.00 50.00 50.00 50.00 50.00 50.00 50.00" in lines
    assert "corrected all 2 2 50.00 50.00 50.00 75.00 75.00 75.00 50.00 100.00" in lines
    for length in ("1 word", "2 words", "3+ words"):
        assert sum(line.startswith((f"paper {length}", f"corrected {length}")) for line in lines) == 2
    assert any(line.startswith("corrected Y 1 1 100.00") for line in lines)
    assert "Orphan I- tags read as the start of an entity: 0 in gold, 1 in the prediction" in lines
    assert "Places where the two scorers disagree: 1" in lines
    assert "interval" not in text


def test_a_stored_evaluation_renders_as_a_fresh_one():
    scores = evaluate(GOLD, PREDICTED, bootstrap=10).to_dict()
    text = render_evaluation(json.loads(json.dumps(scores)))
    assert text == render_evaluation(scores)
    assert "corrected strict, all, 95% intervals: P 0.00 to 100.00, " in text
    assert "(10 draws of 2 sentences)" in text


def test_nothing_renders_too():
    assert "0 sentences, 0 words" in render_evaluation(evaluate([], []).to_dict())


def test_a_difference_is_one_line():
    gold = [["B-X"]] * 4
    difference = paired_difference(gold, gold, [["O"]] * 4, ["a", "a", "b", "c"], samples=9)
    assert render_difference(difference, "encoder", "decoder") == (
        "encoder - decoder: +100.00 strict F1 (corrected), 95% interval +100.00 to +100.00, p = 0.1 "
        "(9 draws of 3 documents)\n"
    )


@pytest.mark.parametrize(
    ("p", "shown"), [(1 / 1001, "< 0.001"), (0.001, "0.001"), (0.04567, "0.0457"), (1.0, "1")]
)
def test_a_p_value_below_a_thousandth_is_bounded(p, shown):
    assert p_value(p) == shown


def test_a_disagreement_says_where_and_why():
    assert render_disagreements(find_disagreements(*read_parallel(GOLD, PREDICTED))) == (
        "sentence 0: gold X[0:2]; predicted X[1:2]\n"
        "    paper: an entity's last word is left out of the overlap\n"
    )
