import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from raybio.errors import ModelError
from raybio.prompts import Prompts, PromptStyle
from raybio.taggers.decoding import Tokens, chat_template
from raybio.word_cache import WordCache

words = st.lists(texts(max_size=8), min_size=1, max_size=5)


@given(words, st.data())
@settings(max_examples=30)
def test_tokens_give_the_text_back(llm, words, data):
    tokens = llm.tokens
    tags = [data.draw(st.sampled_from(tokens.prompts.tags)) for _ in words]
    ids = tokens.completion_ids(words, tags)
    assert ids[-1] in tokens.eos_ids
    assert len(ids) <= tokens.longest_completion(words)
    if "▁" not in "".join(words):  # what SentencePiece writes for a space
        assert tokens.decode(ids) == tokens.prompts.completion(words, tags)


@given(words)
@settings(max_examples=30)
def test_a_prompt_begins_with_the_prefix_and_one_start_token(llm, words):
    ids = llm.tokens.prompt_ids(words)
    assert tuple(ids[: len(llm.tokens.prefix_ids)]) == llm.tokens.prefix_ids
    assert ids.count(llm.tokenizer.bos_token_id) == 1 == ids.index(llm.tokenizer.bos_token_id) + 1


def test_a_prompt_is_the_text_of_the_prompt(llm):
    words = ["Torsade", "de", "pointes", "β-blockers", "</s>", "<s>"]
    text = llm.tokenizer.decode(llm.tokens.prompt_ids(words), clean_up_tokenization_spaces=False)
    assert text.removeprefix("<s>").lstrip() == llm.tokens.prompts.prompt(words)


@given(texts(max_size=8))
@settings(max_examples=30)
def test_no_line_begins_another(llm, word):
    lines = list(llm.tokens.line_ids(word).values())
    assert not any(a != b and b[: len(a)] == a for a in lines for b in lines)
    assert len(set(lines)) == len(llm.tokens.prompts.tags)


def test_lines_do_not_depend_on_what_stands_around_them(llm):
    tokens = llm.tokens
    one, two = tokens.completion_ids(["rats"], ["O"]), tokens.completion_ids(["mg"], ["B-Disease"])
    assert tokens.completion_ids(["rats", "mg"], ["O", "B-Disease"]) == one[:-1] + two


def test_a_tag_token_is_one_token(llm):
    if llm.tokens.prompts.style.tag_tokens:
        words = len(llm.tokens.encode([llm.tokens.prompts.line("rats", "O")[: -len(":O\n")]])[0])
        assert {len(line) for line in llm.tokens.line_ids("rats").values()} == {words + 1}


def test_many_words_do_not_fill_the_memory(llm, monkeypatch):
    monkeypatch.setattr("raybio.taggers.decoding.tokens.WordCache", lambda: WordCache(2500))
    tokens = Tokens(llm.tokenizer, llm.tokens.prompts)
    for i in range(20):
        tokens.line_ids(f"w{i}")
    assert len(tokens._lines) <= 3
    assert tokens.longest_completion(["a", "b", "c", "d", "e"]) > 5


def test_words_that_look_like_control_tokens_are_words(llm):
    (ids,) = llm.tokens.encode(["</s>"])
    assert llm.tokenizer.eos_token_id not in ids


def test_a_chat_template_frames_the_words(llm):
    llm.tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}[assistant]"
    )
    try:
        prompts = Prompts(PromptStyle(("Disease",), chat=True), chat_template(llm.tokenizer))
        tokens = Tokens(llm.tokenizer, prompts)
        ids = tokens.prompt_ids(["</s>", "rats"])
    finally:
        llm.tokenizer.chat_template = None
    assert (prompts.prefix[:9], prompts.suffix) == ("<s>[user]", "</s>[assistant]")
    assert ids.count(llm.tokenizer.bos_token_id) == ids.count(llm.tokenizer.eos_token_id) == 1
    assert chat_template(llm.tokenizer) is None


# Tokenizers that will not do ----------------------------------------------------------------------

PROMPTS = Prompts(PromptStyle(("Disease",)))


def tokenizer(normalizer=None, merges=(), **options):
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {letter: i for i, letter in enumerate([*alphabet, *("".join(pair) for pair in merges)])}
    vocabulary["</s>"] = len(vocabulary)
    made = Tokenizer(models.BPE(vocabulary, list(merges)))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    if normalizer:
        made.normalizer = normalizer
    return PreTrainedTokenizerFast(tokenizer_object=made, **options)


def test_a_tokenizer_must_have_an_end_token():
    with pytest.raises(ModelError, match="no end token"):
        Tokens(tokenizer(), PROMPTS)


def test_a_tokenizer_must_give_the_text_back():
    with pytest.raises(ModelError, match=r"turns the line 'IL-2:O.n' into 'il-2:o.n'"):
        Tokens(tokenizer(normalizers.Lowercase(), eos_token="</s>"), PROMPTS)


def test_a_tokenizer_must_not_join_line_breaks_with_words():
    with pytest.raises(ModelError, match="joins a line break"):
        Tokens(tokenizer(merges=[("Ċ", "I")], eos_token="</s>"), PROMPTS)


def test_tag_tokens_must_have_been_added():
    with pytest.raises(ModelError, match="has none for O"):
        Tokens(tokenizer(eos_token="</s>"), Prompts(PromptStyle(("Disease",), tag_tokens=True)))
