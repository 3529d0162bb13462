"""Windows are of the positions that a model has, for each way of counting them."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForTokenClassification

from raybio.entities import Sentence
from raybio.taggers import load_tagger
from raybio.taggers.hugging_face import read_tokenizer
from raybio.taggers.positions import positions_of

TAGS = ["O", "B-Disease", "I-Disease"]
SIZES = {
    **dict.fromkeys(("hidden_size", "dim", "embedding_size", "d_model"), 16),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_inner"), 16),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "num_key_value_heads"), 1),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head"), 2),
}


def config_of(architecture, positions, **more):
    return AutoConfig.for_model(architecture, max_position_embeddings=positions, **SIZES, **more)


@pytest.mark.parametrize(
    ("architecture", "positions", "padding", "wanted"),
    [
        ("bert", 512, 0, 512),
        ("distilbert", 512, 0, 512),
        ("electra", 512, 0, 512),
        ("deberta-v2", 512, 0, 512),
        ("roberta", 514, 1, 512),
        ("roberta", 512, 1, 510),
        ("roberta", 77, 0, 76),
        ("xlm-roberta", 514, 1, 512),
        ("camembert", 514, 1, 512),
        ("mpnet", 514, 1, 512),
        ("longformer", 4098, 1, 4096),
        ("llama", 2048, 0, 2048),
    ],
)
def test_positions_behind_padding_are_not_counted(architecture, positions, padding, wanted):
    assert (
        positions_of(config_of(architecture, positions, pad_token_id=padding, vocab_size=100), "it") == wanted
    )


@pytest.mark.parametrize("architecture", ["xlnet", "funnel"])
def test_a_model_without_a_bound_has_none(architecture):
    config = AutoConfig.for_model(architecture)
    assert positions_of(config, "it") in (None, 512)


@pytest.mark.parametrize("positions", [514, 512, 61])
@pytest.mark.parametrize("padding", [0, 1])
def test_a_sentence_longer_than_the_window_is_read_whole(minilm, tmp_path, positions, padding):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = read_tokenizer(minilm)
    config = config_of(
        "roberta", positions, pad_token_id=padding, vocab_size=len(tokenizer), id2label=dict(enumerate(TAGS))
    )
    AutoModelForTokenClassification.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    words = tuple(["hypertension", "was", "seen", "in", "rats"] * 150)
    tagger = load_tagger(tmp_path, device="cpu")
    [tagged] = tagger.tag([Sentence("1", words, tuple(range(len(words))))])
    assert len(tagged.tags) == len(words) and tagger.counts["subwords_dropped"] == 0
    assert tagger.counts["windows"] > 1
