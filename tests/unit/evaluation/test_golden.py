"""The paper's scorer against what the study's own scorer printed for real files."""

import json
from pathlib import Path

import pytest
from nervaluate import Evaluator

from raybio.evaluation import evaluate
from raybio.evaluation.disagreements import find_disagreements
from raybio.evaluation.parallel import read_parallel

GROUPS = ("overall", "length_1", "length_2", "length_3plus")


def read_tags(path: Path) -> list[list[str]]:
    """Return the tags of each sentence of a two-column file, without its document headings."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    sentences = [[line.split("\t")[1] for line in block.split("\n") if line] for block in blocks]
    headings = [block.startswith("-DOCSTART-") for block in blocks]
    return [tags for tags, heading in zip(sentences, headings, strict=True) if tags and not heading]


@pytest.fixture(scope="module", params=["bc5cdr-test-a", "jnlpba-test-a"])
def known(request, golden, corpora):
    expected = json.loads((golden / "semeval" / f"{request.param}.expected.json").read_text())
    gold = read_tags(corpora / Path(expected["gold"]).relative_to("corpora"))
    predicted = read_tags(golden / "semeval" / expected["prediction"])
    return expected, gold, predicted, evaluate(gold, predicted)


def test_paper_equals_the_study_in_every_figure(known):
    expected, _, _, evaluation = known
    paper = evaluation.to_dict()["paper"]
    assert evaluation.sentences == expected["sentences"]
    for group in GROUPS:
        for measure, counts in expected[group]["counts"].items():
            ours = paper[group]["type" if measure == "ent_type" else measure]
            assert {name: ours[name] for name in counts} == counts, (group, measure)
        for measure in ("strict", "partial"):
            ours = [paper[group][measure][ratio] for ratio in ("precision", "recall", "f1")]
            assert ours == pytest.approx(expected[group][measure], abs=1e-9), (group, measure)


def test_corrected_equals_nervaluate(known):
    _, gold, predicted, evaluation = known
    corrected = evaluation.to_dict()["corrected"]
    theirs = Evaluator(gold, predicted, tags=list(corrected["by_label"]), loader="list").evaluate()
    for scores, results in [
        (corrected["overall"], theirs["overall"]),
        *((corrected["by_label"][label], theirs["entities"][label]) for label in theirs["entities"]),
    ]:
        for measure, result in results.items():
            ours = scores["type" if measure == "ent_type" else measure]
            assert ours == pytest.approx({name: getattr(result, name) for name in ours})


def test_disagreements_add_up_to_the_difference(known):
    _, gold, predicted, evaluation = known
    places = list(find_disagreements(*read_parallel(gold, predicted)))
    assert len(places) == evaluation.disagreements > 0
    for measure in ("strict", "exact", "partial", "type"):
        for outcome in ("correct", "incorrect", "partial", "missed", "spurious", "possible"):
            overall = [
                getattr(getattr(scores, measure), outcome)
                for scores in (evaluation.corrected, evaluation.paper)
            ]
            by_place = [
                [getattr(getattr(scores, measure), outcome) for scores in (place.corrected, place.paper)]
                for place in places
            ]
            assert overall[0] - overall[1] == sum(ours - theirs for ours, theirs in by_place)


def test_sound_groups_hold_the_lengths_that_the_study_counts(known):
    """Tables I and II of the study: entities of one, two, and three or more words."""
    expected, _, _, evaluation = known
    counted = {"bc5cdr-test-a": [7407, 1438, 964], "jnlpba-test-a": [3466, 2620, 2576]}
    corrected = evaluation.to_dict()["corrected"]
    for measure in ("strict", "exact", "partial", "type"):
        possible = [corrected[group][measure]["possible"] for group in GROUPS[1:]]
        assert possible == counted[expected["name"]]
