"""Random tags: both scorers against independent ones, and what must hold between their figures."""

import random
import warnings
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nervaluate import Evaluator
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from raybio.evaluation import evaluate
from raybio.evaluation.disagreements import find_disagreements
from raybio.evaluation.parallel import read_parallel
from raybio.evaluation.semeval import MEASURES
from raybio.iob2 import repair_tags, spans_from_tags

TAGS = ("O", "B-X", "I-X", "B-Y", "I-Y")
GROUPS = ("length_1", "length_2", "length_3plus")
OUTCOMES = ("correct", "incorrect", "partial", "missed", "spurious")


@st.composite
def tagged(draw):
    """Gold and predicted tags of some sentences, orphans and empty sentences included."""
    lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4))
    tags = st.sampled_from(TAGS)
    both = [[draw(st.lists(tags, min_size=n, max_size=n)) for n in lengths] for _ in range(2)]
    return both[0], both[1]


def literal_study_scorer(sentences):
    """The study's algorithm, in its own terms (inclusive ends, sets of words), as an oracle.

    `sentences` are (gold tags, predicted tags); returns {measure: Counter of outcomes}.
    """
    tallies = {measure: Counter() for measure in MEASURES}

    def tell(strict, exact, partial, type_):
        for measure, outcome in zip(MEASURES, (strict, exact, partial, type_), strict=True):
            tallies[measure][outcome] += 1

    for gold_tags, predicted_tags in sentences:
        gold, predicted = (
            [(span.label, span.start, span.end - 1) for span in spans_from_tags(tags)]
            for tags in (gold_tags, predicted_tags)
        )
        hit = []
        for entity in predicted:
            label, start, end = entity
            if entity in gold:
                hit.append(entity)
                tell("correct", "correct", "correct", "correct")
                continue
            for other in gold:
                if other[1:] == (start, end):
                    hit.append(other)
                    tell("incorrect", "correct", "correct", "incorrect")
                    break
                if set(range(start, end)) & set(range(other[1], other[2])):
                    hit.append(other)
                    tell("incorrect", "incorrect", "partial", "correct" if other[0] == label else "incorrect")
                    break
            else:
                tell("spurious", "spurious", "spurious", "spurious")
        for entity in gold:
            if entity not in hit:
                tell("missed", "missed", "missed", "missed")
    return tallies


def study_mini_sentences(gold, predicted):
    """Yield (length group, gold tags, predicted tags) as the study cuts them from one sentence."""
    entities = spans_from_tags(gold)
    for span in entities:
        group = GROUPS[min(span.end - span.start, 3) - 1]
        yield group, gold[span.start : span.end], predicted[span.start : span.end]
    for gold_tag, predicted_tag in zip(gold, predicted, strict=True):
        if gold_tag == "O":
            yield "length_1", [gold_tag], [predicted_tag]


@given(tagged())
def test_paper_equals_the_study_taken_literally(both):
    gold, predicted = both
    paper = evaluate(gold, predicted).to_dict()["paper"]
    minis = [mini for pair in zip(gold, predicted, strict=True) for mini in study_mini_sentences(*pair)]
    expected = {"overall": literal_study_scorer(zip(gold, predicted, strict=True))}
    for group in GROUPS:
        expected[group] = literal_study_scorer([tags for name, *tags in minis if name == group])
    for group, tallies in expected.items():
        for measure, tally in tallies.items():
            assert {name: paper[group][measure][name] for name in OUTCOMES} == {
                name: tally[name] for name in OUTCOMES
            }


@given(tagged())
def test_corrected_equals_nervaluate(both):
    assert_corrected_equals_nervaluate(*both)


def test_corrected_equals_nervaluate_on_random_pairs_of_many_entities():
    """Long entities that half overlap, in several sentences: what 1.1.0 and 1.2.0 count otherwise."""
    source = random.Random(3)

    def tags(length):
        drawn = []
        while len(drawn) < length:
            label, words = source.choice("XY"), source.randint(1, 4)
            drawn += source.choice([["O"], [f"B-{label}", *[f"I-{label}"] * (words - 1)]])
        return drawn[:length]

    for _ in range(300):
        lengths = [source.randint(1, 10) for _ in range(3)]
        assert_corrected_equals_nervaluate([*map(tags, lengths)], [*map(tags, lengths)])


def assert_corrected_equals_nervaluate(gold, predicted):
    corrected = evaluate(gold, predicted).to_dict()["corrected"]
    theirs = Evaluator(gold, predicted, tags=["X", "Y"], loader="list").evaluate()
    assert corrected["by_label"].keys() == theirs["entities"].keys()
    for scores, results in [
        (corrected["overall"], theirs["overall"]),
        *((corrected["by_label"][label], theirs["entities"][label]) for label in theirs["entities"]),
    ]:
        for measure, result in results.items():
            ours = scores["type" if measure == "ent_type" else measure]
            assert ours == pytest.approx({name: getattr(result, name) for name in ours})


@given(tagged())
def test_repaired_tags_score_alike_in_seqeval_strict(both):
    gold, predicted = ([repair_tags(tags)[0] for tags in sentences if tags] for sentences in both)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval warns when a label is never predicted
        theirs = f1_score(gold, predicted, mode="strict", scheme=IOB2, zero_division=0) if gold else 0
    assert evaluate(gold, predicted).strict_f1 == pytest.approx(theirs)


@given(tagged())
def test_repair_changes_no_score(both):
    repaired = [[repair_tags(tags)[0] for tags in sentences] for sentences in both]
    before, after = evaluate(*both).to_dict(), evaluate(*repaired).to_dict()
    orphans = sum(repair_tags(tags)[1] for sentences in both for tags in sentences)
    assert sum(before.pop("repairs").values()) == orphans
    assert after.pop("repairs") == {"gold": 0, "predicted": 0}
    assert before == after


@given(tagged())
def test_a_perfect_prediction_scores_one_wherever_there_is_gold(both):
    gold, _ = both
    scores = evaluate(gold, gold).to_dict()
    assert scores["disagreements"] == 0
    for scorer in ("paper", "corrected"):
        for group in ("overall", *GROUPS):
            for score in scores[scorer][group].values():
                assert score["f1"] == (1.0 if score["possible"] else 0.0)


@given(tagged())
def test_swapping_gold_and_predicted_swaps_precision_and_recall(both):
    """True of strict, exact and partial; `test_semeval` shows why not of type."""
    gold, predicted = both
    there = evaluate(gold, predicted).to_dict()["corrected"]
    back = evaluate(predicted, gold).to_dict()["corrected"]
    for group in ("overall", *GROUPS):
        for measure in ("strict", "exact", "partial"):
            one, other = there[group][measure], back[group][measure]
            assert (one["precision"], one["recall"]) == (other["recall"], other["precision"])
            assert (one["missed"], one["possible"]) == (other["spurious"], other["actual"])


@given(tagged())
def test_corrected_counts_every_entity_once(both):
    gold, predicted = both
    spans = [sum(len(spans_from_tags(tags)) for tags in sentences) for sentences in both]
    corrected = evaluate(gold, predicted).to_dict()["corrected"]
    for measure in MEASURES:
        overall = corrected["overall"][measure]
        groups = [corrected[group][measure] for group in GROUPS]
        assert [overall["possible"], overall["actual"]] == spans
        for name in ("possible", "actual", "correct", "incorrect", "partial", "missed", "spurious"):
            assert overall[name] == sum(group[name] for group in groups)
        for name in ("correct", "incorrect", "partial"):
            assert overall[name] == sum(group[f"{name}_predicted"] for group in groups)


@given(tagged())
def test_every_disagreement_has_a_reason_and_they_add_up(both):
    evaluation = evaluate(*both)
    places = list(find_disagreements(*read_parallel(*both)))
    assert len(places) == evaluation.disagreements
    assert all(place.reasons for place in places)
    for measure in MEASURES:
        for outcome in OUTCOMES:

            def figure(scores, measure=measure, outcome=outcome):
                return getattr(getattr(scores, measure), outcome)

            by_place = sum(figure(place.corrected) - figure(place.paper) for place in places)
            assert figure(evaluation.corrected) - figure(evaluation.paper) == by_place
