import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import tiny_llama_config
from transformers import AutoModelForTokenClassification, LlamaForTokenClassification

from raybio.alignment import SubwordEncoder
from raybio.entities import Sentence, Span
from raybio.errors import ModelError
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.special_tokens import special_tokens
from raybio.training.encoder_steps import ExampleMaker, cut_sentences, layer_groups
from raybio.training.steps import IGNORED

TAG_IDS = {"O": 0, "B-Chemical": 1, "I-Chemical": 2, "B-Disease": 3, "I-Disease": 4}


def card(max_length):
    return EncoderCard(["Chemical"], max_length, 0, "all", "mean")


@pytest.fixture(scope="module")
def maker(tokenizer):
    def make(label_subwords="all", max_length=64, overlap=16, cut=False):
        return ExampleMaker(
            SubwordEncoder(tokenizer),
            special_tokens(tokenizer),
            TAG_IDS,
            max_length=max_length,
            overlap=overlap,
            label_subwords=label_subwords,
            cut=cut,
        )

    return make


# Labels -----------------------------------------------------------------------------------------

WORDS = ["beta", "-", "hydroxychloroquine", "."]
TAGS = ["O", "O", "B-Chemical", "O"]


def test_all_subwords_the_first_or_the_last_learn_a_words_tag(maker, tokenizer):
    pieces = len(tokenizer.tokenize("hydroxychloroquine"))
    assert pieces > 2
    [every] = maker("all").examples(WORDS, TAGS)
    [first] = maker("first").examples(WORDS, TAGS)
    [last] = maker("last").examples(WORDS, TAGS)
    assert last.labels == [IGNORED, 0, 0, *[IGNORED] * (pieces - 1), 1, 0, IGNORED]
    assert every.ids == first.ids == tokenizer(WORDS, is_split_into_words=True)["input_ids"]
    assert every.labels == [IGNORED, 0, 0, *[1] * pieces, 0, IGNORED]
    assert first.labels == [IGNORED, 0, 0, 1, *[IGNORED] * (pieces - 1), 0, IGNORED]


@given(st.integers(1, 200), st.integers(3, 40), st.data())
@settings(max_examples=60)
def test_every_subword_is_learned_in_one_window(maker, tokenizer, length, max_length, data):
    overlap = data.draw(st.integers(0, max_length - 3))
    words = ["." * (1 + i % 3) for i in range(length)]
    tags = [list(TAG_IDS)[i % 5] for i in range(length)]
    examples = maker("all", max_length, overlap).examples(words, tags)
    prefix, suffix = special_tokens(tokenizer)
    learned = []
    for one in examples:
        assert len(one.ids) == len(one.labels) <= max_length
        assert [one.ids[0]] == prefix and [one.ids[-1]] == suffix
        assert one.labels[0] == one.labels[-1] == IGNORED
        learned += [label for label in one.labels if label != IGNORED]
    assert learned == [TAG_IDS[tag] for word, tag in zip(words, tags, strict=True) for _ in word]


@given(st.integers(1, 60), st.integers(3, 20), st.data())
@settings(max_examples=30)
def test_every_subword_learns_what_teachers_say_of_its_word(maker, length, max_length, data):
    overlap = data.draw(st.integers(0, max_length - 3))
    words = ["." * (1 + i % 3) for i in range(length)]
    shares = [[float(i + 1)] * len(TAG_IDS) for i in range(length)]
    examples = maker("all", max_length, overlap).examples(words, ["O"] * length, shares)
    learned = []
    for one in examples:
        assert len(one.targets) == len(one.labels)
        learned += [
            share[0] for share, label in zip(one.targets, one.labels, strict=True) if label != IGNORED
        ]
    assert learned == [float(i + 1) for i, word in enumerate(words) for _ in word]


def test_a_word_that_no_teacher_has_an_answer_to_teaches_nothing(maker):
    shares = [[1.0, 0.0, 0.0, 0.0, 0.0], [0.0] * 5, [1.0, 0.0, 0.0, 0.0, 0.0]]
    [example] = maker("all").examples([".", "..", "."], ["O"] * 3, shares)
    assert example.labels == [IGNORED, 0, IGNORED, IGNORED, 0, IGNORED]


def test_what_is_cut_is_not_taught(maker):
    shares = [[1.0, 0.0, 0.0, 0.0, 0.0]] * 20
    [example] = maker("all", 8, 2, cut=True).examples(["."] * 20, ["O"] * 20, shares)
    assert len(example.ids) == len(example.labels) == len(example.targets) == 8


def test_layers_learn_slower_the_deeper_they_are(tiny_encoder):
    model = AutoModelForTokenClassification.from_pretrained(tiny_encoder)
    groups = layer_groups(model, 1.0, 0.1, 0.5)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    named = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert len(named) == sum(len(group["params"]) for group in groups)
    assert {rate for name, rate in named.items() if name.startswith("classifier")} == {1.0}
    assert {rate for name, rate in named.items() if ".layer.1." in name} == {0.5}
    assert {rate for name, rate in named.items() if ".layer.0." in name} == {0.25}
    assert {rate for name, rate in named.items() if "embeddings" in name} == {0.125}
    assert {group["weight_decay"] for group in groups} == {0.1, 0.0}


def test_an_llms_layers_are_known_too():
    model = LlamaForTokenClassification(tiny_llama_config(100))
    groups = layer_groups(model, 1.0, 0.1, 0.5)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert rates[id(model.score.weight)] == 1.0
    assert rates[id(model.model.embed_tokens.weight)] == min(rates.values())


def test_layers_that_are_all_alike_are_two_groups_as_ever(tiny_encoder):
    model = AutoModelForTokenClassification.from_pretrained(tiny_encoder)
    assert [set(group) for group in layer_groups(model, 1.0, 0.1, 1.0)] == [{"params", "weight_decay"}] * 2


def test_a_model_without_named_layers_is_refused():
    with pytest.raises(ModelError, match="layer_decay at 1"):
        layer_groups(torch.nn.Linear(2, 2), 1.0, 0.1, 0.9)


def test_an_empty_sentence_teaches_nothing(maker):
    assert maker().examples([], []) == []


# Cut inputs -------------------------------------------------------------------------------------


def test_cut_sentences_lose_what_does_not_fit_and_its_gold(tokenizer):
    words = (*WORDS, *WORDS)
    gold = (Span(2, 3, "Chemical"), Span(5, 8, "Disease"), Span(7, 8, "Disease"))
    long = Sentence("long", words, tuple(range(0, 800, 100)), "d", gold)
    short = Sentence("short", words[:2], (0, 100), "d", ())
    room = len(tokenizer(list(words[:6]), is_split_into_words=True)["input_ids"])
    kept, whole = cut_sentences([long, short], tokenizer, card(room))
    assert kept.words == words[:6] and len(kept.starts) == 6
    assert kept.gold == (Span(2, 3, "Chemical"), Span(5, 6, "Disease"))
    assert whole is short


def test_a_word_that_fits_in_part_goes_whole(tokenizer):
    pieces = len(tokenizer(WORDS[:3], is_split_into_words=True)["input_ids"])
    long = Sentence("long", tuple(WORDS), (0, 9, 18, 27), "d", (Span(2, 3, "Chemical"),))
    [kept] = cut_sentences([long], tokenizer, card(pieces - 1))
    assert kept.words == tuple(WORDS[:2]) and kept.gold == ()


def test_only_the_first_window_is_learned_where_inputs_are_cut(maker):
    words, tags = WORDS * 30, TAGS * 30
    assert len(maker().examples(words, tags)) > 1
    [one] = maker(cut=True).examples(words, tags)
    assert len(one.ids) == 64
