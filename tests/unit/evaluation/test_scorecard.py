import json

import pytest

from raybio.errors import InputError, TagError
from raybio.evaluation import evaluate

GOLD = [["B-X", "I-X", "O"], ["O", "B-Y"]]
PREDICTED = [["O", "I-X", "O"], ["O", "B-Y"]]


def test_the_json_holds_both_scorers_in_the_same_shape():
    scores = json.loads(json.dumps(evaluate(GOLD, PREDICTED).to_dict()))
    groups = {"overall", "length_1", "length_2", "length_3plus"}
    assert scores["paper"].keys() == groups
    assert scores["corrected"].keys() == groups | {"by_label", "intervals", "length_intervals"}
    counts = {"correct", "incorrect", "partial", "missed", "spurious", "possible", "actual"}
    for scorer in ("paper", "corrected"):
        for group in groups:
            assert scores[scorer][group].keys() == {"strict", "exact", "partial", "type"}
            for figures in scores[scorer][group].values():
                assert figures.keys() >= counts | {"precision", "recall", "f1"}
    assert scores["corrected"]["intervals"] is None and scores["corrected"]["length_intervals"] == {}


def test_the_two_scorers_by_hand():
    """X[1:2] is half of X[0:2]: a partial match, which the paper does not see; Y is right."""
    evaluation = evaluate(GOLD, PREDICTED)
    assert evaluation.corrected.partial.f1 == 0.75
    assert evaluation.paper.partial.f1 == 0.5
    assert evaluation.strict_f1 == 0.5
    assert (evaluation.sentences, evaluation.words, evaluation.disagreements) == (2, 5, 1)
    assert evaluation.repairs == {"gold": 0, "predicted": 1}
    assert list(evaluation.by_label) == ["X", "Y"]


def test_intervals_come_on_request():
    evaluation = evaluate(GOLD, PREDICTED, documents=["a", "a"], bootstrap=20, seed=3)
    intervals = evaluation.to_dict()["corrected"]["intervals"]
    assert intervals["f1"] == {"low": 0.5, "high": 0.5}
    assert (intervals["units"], intervals["unit"], intervals["seed"]) == (1, "document", 3)


def test_intervals_by_length_hold_the_scores_by_length():
    right, half = [["B-X", "O", "B-Y", "I-Y"]], [["B-X", "O", "B-Y", "O"]]
    corrected = evaluate(right * 30, half * 10 + right * 20, bootstrap=200).to_dict()["corrected"]
    f1 = {group: each["f1"] for group, each in corrected["length_intervals"].items()}
    assert list(f1) == ["length_1", "length_2", "length_3plus"]
    for group in ("length_1", "length_2"):
        assert f1[group]["low"] < corrected[group]["strict"]["f1"] < f1[group]["high"]
    assert f1["length_3plus"] == {"low": 0.0, "high": 0.0}


@pytest.mark.parametrize("nothing", [[], [[]], [["O", "O"]]])
def test_nothing_annotated_scores_zero(nothing):
    evaluation = evaluate(nothing, nothing)
    assert evaluation.strict_f1 == 0.0
    assert evaluation.to_dict()["corrected"]["by_label"] == {}


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        ([["O", "O", "O"]], "sentence index 1: 1 predicted sentences for 2 gold sentences"),
        ([*PREDICTED, ["O"]], "sentence index 2: 3 predicted sentences for 2 gold sentences"),
        ([["O", "O", "O"], ["O"]], "sentence index 1: 1 predicted tags for 2 gold words"),
    ],
)
def test_what_is_not_parallel_is_refused_with_its_index_and_a_remedy(predicted, message):
    with pytest.raises(InputError, match=message) as refusal:
        evaluate(GOLD, predicted)
    assert refusal.value.remedy.startswith("Predict ")


def test_documents_must_be_one_for_each_sentence_even_without_bootstrap():
    with pytest.raises(InputError, match="sentence index 2: 3 document ids for 2 sentences"):
        evaluate(GOLD, PREDICTED, documents=["a", "b", "c"])


def test_a_tag_outside_the_scheme_is_refused_where_it_stands():
    with pytest.raises(TagError, match="gold, sentence index 1, word index 0: 'X' is not an IOB2 tag"):
        evaluate([["O"], ["X"]], [["O"], ["O"]])
    with pytest.raises(TagError, match="predicted, sentence index 0, word index 1"):
        evaluate([["O", "O"]], [["B-X", "I-"]])
