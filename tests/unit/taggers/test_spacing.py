"""Models of all architectures read words as the text has them; those from elsewhere as transformers does."""

import random
import warnings

import pytest
import torch
from tokenizers_as_published import ARCHITECTURES, sentences, write_tokenizer
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    AutoTokenizer,
    TokenClassificationPipeline,
)

from raybio.alignment import SubwordEncoder
from raybio.corpora.sentences import split_words
from raybio.entities import Sentence
from raybio.iob2 import spans_from_tags
from raybio.taggers import load_tagger
from raybio.taggers.card import CARD
from raybio.taggers.encoder import EncoderCard

# The key of the model's config, where it is another than the architecture's name.
MODEL_TYPES = {"llama-3": "llama", "llama-2": "mistral"}
WORD_PIECES = ("bert", "distilbert", "electra", "mpnet")
BLIND = (*WORD_PIECES, *("xlm-roberta", "camembert", "albert", "deberta-v2", "big_bird", "t5", "llama-2"))
TEXTS = sentences(100)
TAGS = ["O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease"]


def as_sentence(text):
    spans = split_words(text)
    return Sentence("s", tuple(text[a:b] for a, b in spans), tuple(a for a, _ in spans))


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
def foreign(published, tokenizer_of):
    """A folder with a tiny random model that was trained elsewhere."""
    architecture, folder = published
    torch.manual_seed(1)
    torch.set_num_threads(1)
    sizes = dict.fromkeys(("hidden_size", "dim", "embedding_size", "d_model"), 32)
    sizes |= dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff"), 64)
    sizes |= dict.fromkeys(("num_hidden_layers", "n_layers", "num_layers", "num_key_value_heads"), 2)
    sizes |= dict.fromkeys(("num_attention_heads", "n_heads", "num_heads"), 4)
    config = AutoConfig.for_model(
        MODEL_TYPES.get(architecture, architecture),
        vocab_size=len(tokenizer_of),
        max_position_embeddings=514,
        d_kv=8,
        attention_window=[8, 8],
        attention_type="original_full",
        initializer_range=0.5,
        id2label=dict(enumerate(TAGS)),
        pad_token_id=tokenizer_of.pad_token_id,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")),
        **sizes,
    )
    AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
    return folder


class PipelineOfWords(TokenClassificationPipeline):
    """transformers' pipeline with raybio's words.

    For tokenizers without `##` it takes all between two blanks for one word: `(clonidine).` would be one.
    """

    def gather_pre_entities(self, sentence, *arguments, **options):
        entities = super().gather_pre_entities(sentence, *arguments, **options)
        starts = set(as_sentence(sentence).starts)
        # A blank that is a token of its own would be a word too, with the place of the letter behind it.
        entities = [entity for entity in entities if entity["word"].strip("Ġ▁")]
        end = 0
        for entity in entities:
            part = sentence[entity["start"] : entity["end"]]
            start = entity["start"] + len(part) - len(part.lstrip())
            # A character may be cut in two, or a ligature be written out: then subwords share a place.
            entity["is_subword"] = start not in starts or start < end
            end = entity["end"]
        return entities


def pipeline_entities(make, folder, texts):
    """Return the (start, end, label) entities of texts; ends and starts without blanks, nothing of blanks."""
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pipe = make(model=model, tokenizer=tokenizer, aggregation_strategy="first", device=torch.device("cpu"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pipe(list(texts), batch_size=25)
    return [
        [
            (*stripped(text, entity["start"], entity["end"]), entity["entity_group"])
            for entity in entities
            if text[entity["start"] : entity["end"]].strip()
        ]
        for text, entities in zip(texts, found, strict=True)
    ]


def stripped(text, start, end):
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def our_entities(folder, texts):
    given = [as_sentence(text) for text in texts]
    tagged = load_tagger(folder, device="cpu").tag(given)
    return [
        [(*sentence.characters(span), span.label) for span in spans_from_tags(tags.tags)]
        for sentence, tags in zip(given, tagged, strict=True)
    ]


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
    tagger = load_tagger(foreign, device="cpu", word_decision="mean", legal=True)
    together = tagger.tag(given)
    assert [one.tags for one in together] == [tagger.tag([sentence])[0].tags for sentence in given]
    assert [len(one.tags) for one in together] == [len(sentence) for sentence in given]
