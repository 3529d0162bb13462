import pytest
from tiny_llama import write_tiny_llama
from transformers import AutoTokenizer

from raybio.config import CorpusSection, DecoderTrainingSection, PromptSection, TrainDecoderConfig
from raybio.errors import ModelError
from raybio.members import Member
from raybio.taggers.decoding import Tokens
from raybio.training.decoder_steps import CompletionMaker, add_tag_tokens, by_member, wording
from raybio.training.recipes import AdapterRecipe
from raybio.training.steps import IGNORED

ROW = {
    "id": "s1",
    "document_id": "d1",
    "words": ["Naloxone", "reverses", "hypotension", "."],
    "tags": ["B-Chemical", "O", "B-Disease", "O"],
}
LABELS = ("Chemical", "Disease")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_llama(tmp_path_factory.mktemp("llama"), ["Naloxone reverses hypotension ."] * 3)


@pytest.fixture
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def recipe(**changes):
    corpus = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
    return AdapterRecipe.of(TrainDecoderConfig(job="train-decoder", model="any", corpus=corpus, **changes))


def maker(tokenizer, **training):
    chosen = recipe(training=DecoderTrainingSection(**training))
    tokens = Tokens(tokenizer, wording(chosen, LABELS, tokenizer))
    return CompletionMaker(tokens, chosen.training, "train.tsv")


def test_the_completion_alone_is_learned(tokenizer):
    [one] = maker(tokenizer).examples(ROW)
    learned = [token for token, label in zip(one.ids, one.labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(learned) == (
        "Naloxone:B-Chemical\nreverses:O\nhypotension:B-Disease\n.:O\n" + tokenizer.eos_token
    )
    assert one.labels[-len(learned) :] == learned


def test_a_prompt_names_the_labels_that_its_corpus_annotates(tokenizer):
    """So its O means none of these, as it does in the corpus."""
    chosen = recipe(prompt=PromptSection(aliases={"Chemical": "C", "Disease": "D"}))
    tokens = Tokens(tokenizer, wording(chosen, LABELS, tokenizer))
    section = CorpusSection(name="sample")
    drugs = Member(section, "drugs", annotates=frozenset({"Chemical"}))
    members = by_member(tokens, tokenizer, [Member(section, "all"), drugs])
    made = CompletionMaker(tokens, chosen.training, "", members)
    (whole,), (own,) = (made.examples({**ROW, "member": number}) for number in range(2))
    assert whole == made.examples(ROW)[0] == made.examples({**ROW, "member": None})[0]
    text = tokenizer.decode(own.ids)
    assert "Disease" in tokenizer.decode(whole.ids) and "Disease" not in text and "Chemical" in text
    assert "Naloxone:B-C\n" in text and "hypotension:O\n" in text


def test_or_the_whole_text_which_its_first_token_begins(tokenizer):
    [one] = maker(tokenizer, loss_on="all").examples(ROW)
    assert one.labels == [IGNORED, *one.ids[1:]]


def test_a_long_sentence_is_rejected_with_its_reason(tokenizer):
    [one] = maker(tokenizer).examples(ROW)
    length = len(one.ids)
    exact = maker(tokenizer, max_length=length)
    assert exact.examples(ROW) == [one] and not exact.rejected
    short = maker(tokenizer, max_length=length - 1)
    assert short.examples(ROW) == short.examples(ROW) == []
    [rejected] = short.rejected.values()
    assert (
        rejected.reason == f"prompt and completion take {length} tokens, more than max_length: {length - 1}"
    )
    assert (rejected.source, rejected.document_id) == ("train.tsv", "d1")
    assert rejected.raw == "Naloxone reverses hypotension ."
    assert short.longest == length


def test_tag_tokens_are_new_and_know_what_they_stand_for(tokenizer):
    known = len(tokenizer)
    chosen = recipe(prompt=PromptSection(tag_tokens=True))
    prompts = wording(chosen, LABELS, tokenizer)
    added = add_tag_tokens(tokenizer, prompts)
    assert sorted(added) == list(range(known, known + 5))
    for token, pieces in added.items():
        assert tokenizer.decode(pieces) == tokenizer.decode([token]) and max(pieces) < known
    [one] = CompletionMaker(Tokens(tokenizer, prompts), chosen.training, "train.tsv").examples(ROW)
    assert sum(token >= known for token in one.ids) == len(ROW["words"])
    assert add_tag_tokens(tokenizer, wording(recipe(), LABELS, tokenizer)) == {}


def test_a_chat_template_that_is_not_there_is_refused(tokenizer):
    with pytest.raises(ModelError, match="chat_template"):
        wording(recipe(prompt=PromptSection(chat_template=True)), LABELS, tokenizer)


def test_padded_examples_are_as_long_as_the_longest_and_learn_the_padding(tokenizer):
    made = maker(tokenizer, loss_on="padded")
    longer = {**ROW, "words": ROW["words"] * 2, "tags": ROW["tags"] * 2}
    for row in (ROW, longer):  # the split is read once before it is learned
        made.examples(row)
    [short], [long] = made.examples(ROW), made.examples(longer)
    assert len(short.ids) == len(long.ids) == made.longest
    assert short.ids[-2:] == short.labels[-2:] == [tokenizer.eos_token_id] * 2
    assert short.labels[0] == IGNORED and short.labels[1:] == short.ids[1:]


def test_what_is_too_long_is_cut_at_its_end_where_the_config_says_so(tokenizer):
    made = maker(tokenizer, long_inputs="cut", max_length=16)
    [one] = made.examples(ROW)
    assert len(one.ids) == 16 == made.longest
    assert made.cut == {"s1"} and not made.rejected


def test_labels_are_named_in_an_order_that_the_seed_draws(tokenizer):
    labels = tuple("ABCDEF")
    random = PromptSection(label_order="random")
    drawn = {tuple(wording(recipe(prompt=random, seed=n), labels, tokenizer).style.named()) for n in range(5)}
    assert len(drawn) > 1 and all(sorted(order) == [*labels] for order in drawn)
    assert wording(recipe(seed=3), labels, tokenizer).style.named() == [*labels]
