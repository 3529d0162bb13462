"""Prompts: the one wording, in every style."""

import json
import re
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts

from raybio.errors import ModelError
from raybio.prompts import SLOT, Prompts, PromptStyle, shown

LABELS = ("Disease", "Chemical")


def prompts(**style) -> Prompts:
    return Prompts(PromptStyle(LABELS, **style))


def test_a_prompt_has_the_parts_of_the_study():
    written = prompts().prompt(["Aspirin", "eases", "pain", "."])
    instruction, rest = written.split("\n\n### Input:\n")
    assert "IOB2" in instruction
    assert "labels: Chemical, Disease." in instruction
    assert rest == "Aspirin eases pain .\n\n### Response:\n"


def test_all_but_the_words_is_the_same_for_every_sentence():
    frame = prompts()
    for words in (["a"], ["b", "c"], []):
        assert frame.prompt(words) == frame.prefix + " ".join(words) + frame.suffix


def test_a_completion_has_one_line_for_each_word():
    frame = prompts()
    assert frame.completion(["chest", "pain", "."], ["B-Disease", "I-Disease", "O"]) == (
        "chest:B-Disease\npain:I-Disease\n.:O\n"
    )
    assert frame.line("pain", "O") == "pain" + frame.ending("O")
    assert frame.completion([], []) == ""
    with pytest.raises(ValueError, match="shorter"):
        frame.completion(["chest", "pain"], ["O"])


def test_aliases_are_written_explained_and_read_back():
    frame = prompts(aliases={"Disease": "D"})
    assert "labels: Chemical, D (Disease)." in frame.prefix
    assert frame.line("pain", "I-Disease") == "pain:I-D\n"
    assert frame.tag_of("I-D") == "I-Disease"
    assert frame.tag_of("I-Disease") is None
    assert frame.tag_of("I-Chemical") == "I-Chemical"


def test_lines_may_begin_with_the_space_that_words_have_in_the_prompt():
    frame = prompts(leading_space=True)
    assert frame.completion(["chest", "pain"], ["O", "O"]) == " chest:O\n pain:O\n"
    assert frame.prompt(["chest", "pain"]) == prompts().prompt(["chest", "pain"])


def test_tags_as_tokens_leave_the_text_as_it_is():
    plain, tokens = prompts(), prompts(tag_tokens=True)
    assert [plain.ending(tag) for tag in plain.tags] == [tokens.ending(tag) for tag in tokens.tags]
    assert plain.prompt(["a"]) == tokens.prompt(["a"])


def test_a_chat_template_frames_instruction_and_words():
    def template(text: str) -> tuple[str, str]:
        before, _, after = f"<user>{text}</user><model>".partition(SLOT)
        return before, after

    frame = Prompts(PromptStyle(LABELS, chat=True), template)
    written = frame.prompt(["chest", "pain"])
    assert written.startswith("<user>Find")
    assert written.endswith("### Input:\nchest pain</user><model>")


def test_a_chat_template_that_is_not_there_is_missed():
    with pytest.raises(ModelError, match=r"tokenizer has none\. Set prompt\.chat_template to false"):
        Prompts(PromptStyle(LABELS, chat=True))


def test_every_tag_is_written_in_its_own_way():
    frame = prompts(aliases={"Disease": "D", "Chemical": "C"})
    assert frame.tags == ("O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease")
    assert [frame.ending(tag) for tag in frame.tags] == [":O\n", ":B-C\n", ":I-C\n", ":B-D\n", ":I-D\n"]


@pytest.mark.parametrize(
    ("labels", "aliases", "message"),
    [
        (
            LABELS,
            {"Disease": "X", "Chemical": "X"},
            "labels 'Chemical' and 'Disease' have the same alias 'X'.",
        ),
        (LABELS, {"Disease": "Chemical"}, "alias 'Chemical' of label 'Disease' is a label itself."),
        (
            LABELS,
            {"Disease": "Chemical", "Chemical": "C"},
            "alias 'Chemical' of label 'Disease' is a label itself.",
        ),
        (LABELS, {"Disease": "a b"}, "label 'Disease' would be written 'a b', which is empty or holds"),
        (LABELS, {"Disease": "a:b"}, "label 'Disease' would be written 'a:b', which is empty or holds"),
        (LABELS, {"Disease": ""}, "label 'Disease' would be written '', which is empty or holds"),
        (("cell line",), {}, "Give 'cell line' an alias without them in prompt.aliases"),
        (LABELS, {"Diseas": "D"}, "names 'Diseas', which is no label. The labels are: Chemical, Disease"),
        ((), {}, "there are no labels"),
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(labels, aliases, message):
    with pytest.raises(ModelError, match=re.escape(message)):
        PromptStyle(labels, aliases)


def test_an_alias_may_fix_a_label_and_may_be_the_label_itself():
    assert PromptStyle(("cell line",), {"cell line": "cell_line"}).written("cell line") == "cell_line"
    assert PromptStyle(LABELS, {"Disease": "Disease"}).written("Disease") == "Disease"


def test_a_style_comes_back_from_json_as_it_was():
    style = PromptStyle(LABELS, {"Disease": "D"}, tag_tokens=True)
    assert style.labels == ("Chemical", "Disease")
    assert PromptStyle(**json.loads(json.dumps(asdict(style)))) == style
    assert len({style, PromptStyle(LABELS, {"Disease": "D"}, tag_tokens=True)}) == 1


@pytest.mark.parametrize(
    ("word", "in_one_piece"),
    [
        ("p53", "p53"),
        ("β-blocker", "β-blocker"),
        ("a b", "a_b"),
        ("a\nb\u2028c", "a_b_c"),
        ("\x7f", "_"),
        ("", "_"),
    ],
)
def test_a_word_is_shown_in_one_piece(word, in_one_piece):
    assert shown(word) == in_one_piece


@given(st.lists(texts(max_size=6), max_size=6))
def test_whatever_the_words_they_are_as_many_in_the_prompt_and_one_a_line(words):
    frame = prompts()
    inside = frame.prompt(words)[len(frame.prefix) :].removesuffix(frame.suffix)
    assert inside.split() == [shown(word) for word in words]
    completion = frame.completion(words, ["O"] * len(words))
    assert len(completion.splitlines()) == len(words)
