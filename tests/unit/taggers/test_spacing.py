"""Models of all architectures read words as the text has them; those from elsewhere as transformers does."""

import random

import pytest
from foreign_entities import PipelineOfWords, as_sentence, our_entities, pipeline_entities
from tiny_classifiers import write_classifier
from tokenizers_as_published import ARCHITECTURES, sentences, write_tokenizer
from transformers import AutoTokenizer, TokenClassificationPipeline

from raybio.alignment import SubwordEncoder
from raybio.model_files import CARD
from raybio.taggers import load_tagger
from raybio.taggers.encoder_card import EncoderCard

# The classifier, where it is called otherwise than the tokenizer.
CLASSIFIERS = {"roberta": "roberta-514", "deberta": "deberta-v1"}
WORD_PIECES = ("bert", "distilbert", "electra", "mpnet", "funnel")
BLIND = (
    *WORD_PIECES,
    *("xlm-roberta", "camembert", "albert", "deberta-v2", "big_bird", "t5", "llama-2", "xlnet"),
)
TEXTS = sentences(100)


def spaced(text):
    """The same words one blank apart."""
    return " ".join(as_sentence(text).words)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def published(request, tmp_path_factory):
    """An architecture and the folder of its tokenizer."""
    folder = tmp_path_factory.mktemp(request.param)
    write_tokenizer(request.param, folder)
    return request.param, folder


@pytest.fixture(scope="module")
def tokenizer_of(published):
    return AutoTokenizer.from_pretrained(published[1])


@pytest.fixture(scope="module")
def foreign(published, tmp_path_factory):
    """A folder with a tiny random model that was trained elsewhere, with this tokenizer."""
    architecture = CLASSIFIERS.get(published[0], published[0])
    return write_classifier(architecture, tmp_path_factory.mktemp("foreign"))


def test_as_written_subwords_are_those_of_the_tokenizer_on_the_text(published, tokenizer_of):
    encoder = SubwordEncoder(tokenizer_of, "as-written")
    given = [as_sentence(text) for text in TEXTS]
    found = encoder.encode([one.words for one in given], [one.starts for one in given])
    wanted = tokenizer_of(TEXTS, add_special_tokens=False)["input_ids"]
    assert [list(one.ids) for one in found] == wanted
    for one, sentence in zip(found, given, strict=True):
        assert list(one.words) == sorted(one.words)
        assert len(one.firsts) == len(sentence) and list(one.firsts) == sorted(one.firsts)


def test_with_blanks_raw_text_is_read_as_columns_are_and_as_a_text_with_blanks(published, tokenizer_of):
    encoder = SubwordEncoder(tokenizer_of, "blank")
    given = [as_sentence(text) for text in TEXTS]
    raw = encoder.encode([one.words for one in given], [one.starts for one in given])
    assert raw == encoder.encode([one.words for one in given])
    # What the tokenizer does not put before the first word itself stands there too.
    before = " " if encoder.sees_blanks else ""
    assert encoder.sees_blanks == (published[0] not in BLIND)
    wanted = tokenizer_of([before + spaced(text) for text in TEXTS], add_special_tokens=False)["input_ids"]
    assert [list(one.ids) for one in raw] == wanted


def test_a_model_from_elsewhere_finds_what_the_pipeline_finds(published, foreign):
    make = TokenClassificationPipeline if published[0] in WORD_PIECES else PipelineOfWords
    wanted = pipeline_entities(make, foreign, TEXTS)
    assert our_entities(foreign, TEXTS) == wanted
    assert len({label for entities in wanted for *_, label in entities}) == 2


def test_where_blanks_part_all_words_the_pipeline_finds_the_same_unchanged(tokenizer_of, foreign):
    words = sorted({word for text in TEXTS for word in as_sentence(text).words if word.isascii()})
    behind = len(tokenizer_of.tokenize("In"))
    read_whole = [
        word for word in words if not {"Ġ", "▁"} & set(tokenizer_of.tokenize(f"In {word}")[behind:])
    ]
    texts = [" ".join(random.Random(seed).choices(read_whole, k=12)) for seed in range(25)]
    assert our_entities(foreign, texts) == pipeline_entities(TokenClassificationPipeline, foreign, texts)


def test_a_model_with_a_card_of_before_is_read_glued_and_that_is_said(published, foreign, tmp_path, caplog):
    card = EncoderCard(["Chemical", "Disease"], 64, 8, "first", "first")
    card.write(foreign)
    try:
        tagger = load_tagger(foreign, device="cpu")
    finally:
        (foreign / CARD).unlink()
    said = [record.getMessage() for record in caplog.records if "without the blanks" in record.getMessage()]
    assert len(said) == (published[0] not in BLIND)
    words = ("Naloxone", "reverses", "the")
    [glued] = tagger._encoder.encode([words])
    tokenizer = AutoTokenizer.from_pretrained(foreign)
    wanted = tokenizer(list(words), is_split_into_words=True, add_special_tokens=False)["input_ids"]
    assert list(glued.ids) == wanted


def test_neither_company_nor_a_blank_before_the_first_word_changes_a_words_tag(published, foreign):
    """With the mean of a word's subwords, each unit ends where its sentence does."""
    given = [as_sentence(text) for text in ("", *TEXTS[:8], "β", "-")]
    tagger = load_tagger(foreign, device="cpu", aggregation_strategy="mean", constrained_decoding=True)
    together = tagger.tag(given)
    assert [one.tags for one in together] == [tagger.tag([sentence])[0].tags for sentence in given]
    assert [len(one.tags) for one in together] == [len(sentence) for sentence in given]
