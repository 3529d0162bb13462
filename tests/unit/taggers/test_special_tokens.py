"""What stands around a text, and what fills a batch up."""

from types import SimpleNamespace

import pytest
import torch
from tokenizers_as_published import write_tokenizer

from raybio.taggers.hugging_face import read_tokenizer
from raybio.taggers.special_tokens import add_token_types, padding_of, special_tokens


def test_special_tokens_are_what_surrounds_a_text(tokenizer):
    assert special_tokens(tokenizer) == ([tokenizer.cls_token_id], [tokenizer.sep_token_id])


def test_xlnet_has_all_of_them_behind_the_text(tmp_path):
    tokenizer = write_tokenizer("xlnet", tmp_path)
    assert special_tokens(tokenizer) == ([], [tokenizer.sep_token_id, tokenizer.cls_token_id])


@pytest.mark.parametrize(("pad", "eos", "wanted"), [(7, 3, 7), (0, 3, 0), (None, 3, 3), (None, None, 0)])
def test_what_fills_a_batch_up(pad, eos, wanted):
    assert padding_of(SimpleNamespace(pad_token_id=pad, eos_token_id=eos)) == wanted


class Recorder(torch.nn.Module):
    """A model that keeps the token types it is given."""

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        return token_type_ids


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("bert", None),
        ("roberta", None),
        ("funnel", [[2, 0, 0, 0, 0], [2, 0, 0, 0, 0]]),
        ("xlnet", [[0, 0, 0, 0, 2], [0, 0, 2, 0, 0]]),
    ],
)
def test_token_types_are_the_tokenizers_where_padding_stands_behind(tmp_path, form, wanted):
    names = ["input_ids", "token_type_ids", "attention_mask"]
    write_tokenizer(form, tmp_path, **({"model_input_names": names} if wanted else {}))
    model = add_token_types(Recorder(), read_tokenizer(tmp_path))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    found = model(input_ids=mask, attention_mask=mask)
    assert (found if found is None else found.tolist()) == wanted
