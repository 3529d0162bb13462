"""Equal work: what counts as the tagger's own answer, and what is said where it is not."""

import asyncio

from samples import sentence_of_words
from serving_fakes import FakeModel, tags_of

from raybio.entities import Sentence, Span
from raybio.serving.equal_work import judge_answers, served_tags
from raybio.serving.load_generator import in_window
from raybio.taggers import Tags

GOLD = (Span(1, 2, "X"),)


def annotated(number: int) -> Sentence:
    # The same id throughout: ids need not tell sentences apart.
    plain = sentence_of_words("a", f"b{number}", name="same")
    return Sentence(plain.id, plain.words, plain.starts, f"d{number // 2}", GOLD)


SENTENCES = [annotated(number) for number in range(6)]
ALONE = [tags_of(sentence).tags for sentence in SENTENCES]


def asked(model, sentences=SENTENCES):
    return asyncio.run(in_window(model.tag, [[sentence] for sentence in sentences], 2))


def all_outside(sentence: Sentence) -> Tags:
    return Tags(("O",) * len(sentence), (1.0,) * len(sentence))


def test_the_taggers_own_answers_are_equal():
    accuracy = judge_answers(SENTENCES, ALONE, asked(FakeModel()), asked(FakeModel(), SENTENCES[:3]))
    assert accuracy.equal
    assert accuracy.served_strict_f1 == accuracy.offline_strict_f1 == 1.0
    assert accuracy.corrected["overall"]["strict"]["f1"] == accuracy.paper["overall"]["strict"]["f1"] == 1.0
    assert (accuracy.different_sentences, accuracy.unanswered_sentences) == (0, 0)


def test_another_answer_in_any_scenario_is_counted_once():
    wrong = FakeModel(tags=all_outside)
    others = [*asked(wrong, SENTENCES[:2]), *asked(wrong, SENTENCES[:2])]
    accuracy = judge_answers(SENTENCES, ALONE, asked(FakeModel()), others)
    assert not accuracy.equal
    assert accuracy.different_sentences == 2
    assert accuracy.served_strict_f1 == accuracy.offline_strict_f1 == 1.0


def test_the_f1_is_that_of_the_served_answers():
    accuracy = judge_answers(SENTENCES, ALONE, asked(FakeModel(tags=all_outside)), [])
    assert (accuracy.served_strict_f1, accuracy.offline_strict_f1) == (0.0, 1.0)
    assert accuracy.different_sentences == 6


def test_a_sentence_without_an_answer_is_not_equal_work():
    scored = asked(FakeModel(fails=lambda turn: turn == 0))
    accuracy = judge_answers(SENTENCES, ALONE, scored, [])
    assert not accuracy.equal
    assert (accuracy.unanswered_sentences, accuracy.different_sentences) == (1, 0)
    assert accuracy.served_strict_f1 < 1.0
    assert served_tags(SENTENCES, scored)[0] is None
    assert served_tags(SENTENCES, scored)[1:] == ALONE[1:]


def test_intervals_are_drawn_over_documents():
    accuracy = judge_answers(SENTENCES, ALONE, asked(FakeModel()), [], bootstrap=10, seed=1)
    assert accuracy.corrected["intervals"]["unit"] == "document"
    assert accuracy.corrected["intervals"]["units"] == 3


def test_only_what_a_corpus_annotates_is_scored():
    def all_inside(sentence: Sentence) -> Tags:
        return Tags(("B-Gene",) * len(sentence), (1.0,) * len(sentence))

    def own(tags):
        return ["O" if tag.endswith("-Gene") else tag for tag in tags]

    accuracy = judge_answers(SENTENCES, ALONE, asked(FakeModel(tags=all_inside)), [], own=own)
    silent = judge_answers(SENTENCES, ALONE, asked(FakeModel(tags=all_outside)), [])
    assert accuracy.corrected["overall"] == silent.corrected["overall"]
    assert not accuracy.equal
