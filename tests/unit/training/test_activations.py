import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from transformers import AutoModelForTokenClassification, BertConfig, DebertaV2Config

from raybio.training.activations import kept_for_backward

SMALL = {
    "vocab_size": 700,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
BERT = BertConfig(**SMALL)
DEBERTA = DebertaV2Config(relative_attention=True, pos_att_type=["p2c", "c2p"], **SMALL)


def really_kept(architecture, rows, tokens, dtype):
    model = AutoModelForTokenClassification.from_config(architecture, dtype=torch.float32).train()
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    ids = torch.zeros(rows, tokens, dtype=torch.long)
    with (
        saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype, enabled=dtype.itemsize < 4),
    ):
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("architecture", [BERT, DEBERTA], ids=["bert", "deberta"])
def test_it_is_what_torch_keeps_of_a_real_pass(architecture, dtype):
    counted = kept_for_backward(AutoModelForTokenClassification, architecture, 3, 20, dtype)
    assert counted == pytest.approx(really_kept(architecture, 3, 20, dtype), rel=0.02)
