import pytest

from raybio.entities import Mention
from raybio.errors import UsageError
from raybio.taggers.selection import Selection

MENTIONS = [Mention(0, 1, "A", "a", 0.9), Mention(2, 3, "B", "b", 0.5), Mention(4, 5, "A", "c", 0.4)]


@pytest.mark.parametrize(
    ("selection", "kept"),
    [
        (Selection(), "aA bB cA"),
        (Selection(("B",)), "bB"),
        (Selection(min_score=0.5), "aA bB"),
        (Selection(min_score={"A": 0.5}), "aA bB"),
        (Selection(min_score={"A": 0.95, "B": 0.6}), ""),
        (Selection(rename={"A": "B", "B": "C"}), "aB bC cB"),
        (Selection(("A",), 0.5, {"A": "Drug"}), "aDrug"),
    ],
)
def test_labels_and_scores_are_the_models_and_names_come_last(selection, kept):
    assert " ".join(each.text + each.label for each in selection.of(MENTIONS)) == kept


def test_the_names_that_an_output_may_have():
    assert Selection(("A", "C"), rename={"C": "A"}).names(["A", "B", "C"]) == ("A",)
    assert Selection().names(["B", "A"]) == ("A", "B")


@pytest.mark.parametrize(
    "selection",
    [Selection(("Diseas",)), Selection(min_score={"Diseas": 0.5}), Selection(rename={"Diseas": "X"})],
)
def test_a_label_that_the_model_lacks_is_refused_with_those_it_has(selection):
    with pytest.raises(UsageError, match=r"no label 'Diseas'\. Did you mean 'Disease'.* Chemical, Disease"):
        selection.check(["Disease", "Chemical"])


@pytest.mark.parametrize("score", [1.5, -0.1, {"A": 2.0}])
def test_a_least_score_is_a_probability(score):
    with pytest.raises(UsageError, match="not a probability"):
        Selection(min_score=score).check(["A"])
    Selection(min_score={"A": 1.0}).check(["A"])
