"""Completions read back: every word has a tag, and what harms a line harms no other word."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from strategies import LABELS, tagged_sentences, texts, words

from raybio.bio_output import Malformed, Reason, read_completion
from raybio.iob2 import tags_from_spans
from raybio.prompts import Prompts, PromptStyle

WORDS = ["Aspirin", "eased", "his", "chest", "pain", "."]
TAGS = ["B-Chemical", "O", "O", "B-Disease", "I-Disease", "O"]
PROMPTS = Prompts(PromptStyle(("Chemical", "Disease")))
LINES = PROMPTS.completion(WORDS, TAGS).splitlines(keepends=True)


def read(lines: list[str]) -> tuple[list[str], list[tuple[str, int | None, list[int]]]]:
    """Read `lines` as a completion of WORDS: the tags, and what is malformed."""
    found = read_completion("".join(lines), WORDS, PROMPTS)
    return found.tags, [(each.reason, each.line_number, list(each.words)) for each in found.malformed]


def tags_without(*lost: int) -> list[str]:
    return ["O" if i in lost else tag for i, tag in enumerate(TAGS)]


@st.composite
def styles(draw: st.DrawFn) -> PromptStyle:
    short = dict(zip(LABELS, "cdl", strict=True))
    return PromptStyle(
        LABELS, draw(st.sampled_from([{}, short])), leading_space=draw(st.booleans()), chat=False
    )


@given(tagged_sentences(), styles())
def test_what_was_written_is_read_back(sentence, style):
    words, spans = sentence
    tags = tags_from_spans(spans, len(words))
    prompts = Prompts(style)
    found = read_completion(prompts.completion(words, tags), words, prompts)
    assert (found.tags, found.malformed) == (tags, [])


@given(st.lists(texts(max_size=6), max_size=6), st.data())
def test_words_in_several_pieces_are_read_back_too(words, data):
    tags = data.draw(st.lists(st.sampled_from(PROMPTS.tags), min_size=len(words), max_size=len(words)))
    found = read_completion(PROMPTS.completion(words, tags), words, PROMPTS)
    assert (found.tags, found.malformed) == (tags, [])


@st.composite
def nearly_completions(draw: st.DrawFn, of: list[str]) -> str:
    """Garbage, with pieces in it that look like lines for `of`."""
    pieces = st.sampled_from([*of, "x", ":", ":O", ":B-Disease", ":B-", "\n", "\n", " ", "\r\n", "\u2028"])
    return "".join(draw(st.lists(pieces | texts(max_size=5), max_size=30)))


@given(st.lists(words() | texts(max_size=4), max_size=6), st.data())
def test_any_text_gives_each_word_one_tag_and_says_what_was_lost(words, data):
    text = data.draw(nearly_completions(words))
    found = read_completion(text, words, PROMPTS)
    assert len(found.tags) == len(words)
    assert set(found.tags) <= set(PROMPTS.tags)
    concerned = [i for each in found.malformed for i in each.words]
    assert sorted(set(concerned)) == sorted(concerned)
    assert all(0 <= i < len(words) and found.tags[i] == "O" for i in concerned)
    assert {each.reason for each in found.malformed} <= set(get_args(Reason))
    # Each word has a line of its own or is concerned; each line gives a tag or is malformed.
    lines = text.split("\n") if not text.endswith("\n") else text.split("\n")[:-1]
    of_lines = [each.line_number for each in found.malformed if each.line_number is not None]
    assert len(words) - len(concerned) == (len(lines) if text else 0) - len(of_lines)
    assert of_lines == sorted(set(of_lines))


@given(st.lists(words(), min_size=1, max_size=12, unique=True), st.data())
def test_lines_dropped_repeated_or_changed_harm_only_their_words(words, data):
    length = len(words)
    tags = data.draw(st.lists(st.sampled_from(PROMPTS.tags), min_size=length, max_size=length))
    fates = data.draw(
        st.lists(
            st.sampled_from(["kept", "dropped", "repeated", "changed"]), min_size=length, max_size=length
        )
    )
    # A changed word has a space inside, which no word here has.
    written = {
        "kept": lambda word, tag: PROMPTS.line(word, tag),
        "dropped": lambda word, tag: "",
        "repeated": lambda word, tag: PROMPTS.line(word, tag) * 3,
        "changed": lambda word, tag: f"{word} {word}{PROMPTS.ending(tag)}",
    }
    text = "".join(written[fate](word, tag) for word, tag, fate in zip(words, tags, fates, strict=True))
    found = read_completion(text, words, PROMPTS)
    harmed = [fate in ("dropped", "changed") for fate in fates]
    assert found.tags == ["O" if harm else tag for tag, harm in zip(tags, harmed, strict=True)]
    assert {i for each in found.malformed for i in each.words} == {i for i, harm in enumerate(harmed) if harm}


def test_a_dropped_line():
    assert read(LINES[:3] + LINES[4:]) == (tags_without(3), [("missing word", None, [3])])


def test_a_dropped_run_of_lines_is_one_case():
    assert read(LINES[:1] + LINES[3:]) == (TAGS, [("missing word", None, [1, 2])])


def test_a_repeated_line():
    assert read(LINES[:4] + LINES[3:]) == (TAGS, [("extra word", 5, [])])


def test_a_changed_word():
    assert read([*LINES[:4], "pains:I-Disease\n", *LINES[5:]]) == (
        tags_without(4),
        [("changed word", 5, [4])],
    )


def test_words_that_were_joined():
    joined = [*LINES[:3], "chestpain:B-Disease\n", *LINES[5:]]
    assert read(joined) == (tags_without(3, 4), [("changed word", 4, [3]), ("missing word", None, [4])])


def test_a_word_without_a_tag_and_one_with_a_wrong_tag():
    faulty = ["Aspirin\n", *LINES[1:3], "chest:B-Gene\n", *LINES[4:]]
    assert read(faulty) == (tags_without(0, 3), [("no tag", 1, [0]), ("unknown tag", 4, [3])])


def test_talk_before_and_after_harms_no_word():
    talk = ["Sure! Here you are.\n", "\n", *LINES, "Anything else?\n"]
    assert read(talk) == (TAGS, [("no tag", 1, []), ("no tag", 2, []), ("no tag", 9, [])])


def test_a_completion_that_was_cut_off():
    assert read([*LINES[:4], "pain:I-Dis"]) == (
        tags_without(4),
        [("no end", 5, [4]), ("missing word", None, [5])],
    )
    assert read([]) == (tags_without(*range(6)), [("missing word", None, [0, 1, 2, 3, 4, 5])])


def test_a_word_may_hold_colons_and_look_like_a_line():
    words = ["a:b", "x:O", ":", "1:2"]
    found = read_completion("a:b:O\nx:O:B-Disease\n::O\n1:2\n", words, PROMPTS)
    assert found.tags == ["O", "B-Disease", "O", "O"]
    assert found.malformed == [Malformed("no tag", 4, "1:2", range(3, 4))]


def test_a_sentence_that_repeats_itself_loses_only_the_dropped_word():
    words = ["a", "b"] * 4
    tags = ["B-Disease", "I-Disease"] * 4
    lines = [PROMPTS.line(word, tag) for word, tag in zip(words, tags, strict=True)]
    found = read_completion("".join(lines[:3] + lines[4:]), words, PROMPTS)
    assert found.tags == [*tags[:3], "O", *tags[4:]]


def test_white_space_around_words_and_tags_means_nothing():
    text = " Aspirin : B-Chemical \r\n" + "".join(LINES[1:])
    assert read([text]) == (TAGS, [])
