"""The outcome of each entity: the counts are the corrected scorer's, and examples lose no word."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from raybio.evaluation import evaluate
from raybio.reports.mistakes import Outcome, choose_examples, example, frequent_texts, judge_sentences
from raybio.reports.sources import TaggedSentence

TAG = st.sampled_from(["O", "O", "B-A", "I-A", "B-B", "I-B"])
WRONG = (Outcome.BOUNDARY, Outcome.LABEL, Outcome.BOTH)


@st.composite
def sentences(draw: st.DrawFn) -> list[TaggedSentence]:
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=4))
    return [
        TaggedSentence(
            tuple(f"w{i}" for i in range(length)),
            tuple(draw(st.lists(TAG, min_size=length, max_size=length))),
            tuple(draw(st.lists(TAG, min_size=length, max_size=length))),
        )
        for length in lengths
    ]


@settings(deadline=None)
@given(sentences())
def test_outcomes_add_up_to_the_corrected_strict_counts(given_sentences):
    outcomes = Counter(each.outcome for each in judge_sentences(given_sentences))
    strict = evaluate(
        [s.gold for s in given_sentences], [s.predicted for s in given_sentences]
    ).corrected.strict
    assert outcomes[Outcome.CORRECT] == strict.correct
    assert sum(outcomes[outcome] for outcome in WRONG) == strict.incorrect
    assert outcomes[Outcome.MISSED] == strict.missed
    assert outcomes[Outcome.SPURIOUS] == strict.spurious


@settings(deadline=None)
@given(sentences())
def test_an_example_shows_the_same_words_on_both_sides_and_the_error_itself(given_sentences):
    judged = judge_sentences(given_sentences)
    for each in judged:
        shown = example(given_sentences, judged, each)
        (_, of_gold), (_, of_predicted) = shown.sides
        gold, predicted = ("".join(p.text for p in side) for side in (of_gold, of_predicted))
        assert gold == predicted
        assert gold.strip("… ") in " ".join(given_sentences[each.sentence].words)
        words = given_sentences[each.sentence].words
        for span, pieces in ((each.gold, of_gold), (each.predicted, of_predicted)):
            if span:
                text = " ".join(words[span.start : span.end])
                assert any(piece.text == text and piece.label == span.label for piece in pieces)


def test_examples_are_spread_over_the_sentences():
    many = [TaggedSentence(("w",), ("B-A",), ("O",)) for _ in range(100)]
    chosen = choose_examples(judge_sentences(many), Outcome.MISSED, 4)
    assert [each.sentence for each in chosen] == [0, 25, 50, 75]
    assert choose_examples(judge_sentences(many), Outcome.SPURIOUS, 4) == []


def test_the_most_frequent_come_first():
    many = [TaggedSentence((word,), ("B-A",), ("O",)) for word in ("rare", "often", "often")]
    assert frequent_texts(many, judge_sentences(many), Outcome.MISSED, 2) == [
        ("often", "A", 2),
        ("rare", "A", 1),
    ]
