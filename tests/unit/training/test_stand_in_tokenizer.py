import pytest
from tiny_llama import tiny_llama_config
from transformers import BertConfig, DebertaV2Config

from raybio.taggers.encoder import special_tokens
from raybio.taggers.hugging_face import read_tokenizer
from raybio.training.stand_in_tokenizer import stand_in_tokenizer

TEXTS = ["Naloxone reverses the antihypertensive effect of clonidine .", "Clonidine lowered pressure ."] * 3
BERT, DEBERTA = BertConfig(vocab_size=30522), DebertaV2Config(vocab_size=128100)


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [(BERT, "WordPiece"), (DEBERTA, "Unigram"), (tiny_llama_config(5000), "BPE")],
    ids=["bert", "deberta", "llama"],
)
def test_it_has_the_models_kind_and_size_when_read_back(architecture, kind, tmp_path):
    architecture.save_pretrained(tmp_path)
    stand_in_tokenizer(architecture, TEXTS).save_pretrained(tmp_path)
    tokenizer = read_tokenizer(tmp_path)
    assert len(tokenizer) == architecture.vocab_size
    assert type(tokenizer.backend_tokenizer.model).__name__ == kind
    pieces = tokenizer.tokenize("Naloxone reverses xerostomia .")
    assert not [piece for piece in pieces if "filler" in piece]
    assert len(pieces) > 5  # the unknown word is cut into pieces
    assert max(tokenizer("Naloxone and xerostomia .").input_ids) < architecture.vocab_size


def test_encoders_have_special_tokens_around_a_text():
    tokenizer = stand_in_tokenizer(BERT, TEXTS)
    before, after = special_tokens(tokenizer)
    assert tokenizer.convert_ids_to_tokens(before + after) == ["[CLS]", "[SEP]"]
    assert tokenizer.pad_token_id == 0


def test_llms_end_a_text_and_have_a_chat_template():
    tokenizer = stand_in_tokenizer(tiny_llama_config(5000), TEXTS)
    assert special_tokens(tokenizer) == ([], [])
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == 0
    assert tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False) == "Hello\n"
