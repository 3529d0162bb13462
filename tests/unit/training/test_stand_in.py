import pytest
import torch
from tiny_llama import tiny_llama_config
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    BertConfig,
    DebertaV2Config,
)

from raybio.model_files import read_header, weights_files
from raybio.taggers.hugging_face import check_base, read_config, read_model
from raybio.training import stand_in
from raybio.training.stand_in import write_stand_in
from raybio.training.stand_in_tokenizer import stand_in_tokenizer

TEXTS = ["Naloxone reverses the antihypertensive effect of clonidine ."] * 3
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
BERT = BertConfig(vocab_size=700, **SMALL)
DEBERTA = DebertaV2Config(vocab_size=800, relative_attention=True, pos_att_type=["p2c", "c2p"], **SMALL)
CAUSAL, CLASSIFIER = AutoModelForCausalLM, AutoModelForTokenClassification


@pytest.mark.parametrize(
    ("architecture", "make"),
    [
        (BERT, CLASSIFIER),
        (DEBERTA, CLASSIFIER),
        (tiny_llama_config(), CAUSAL),
        (tiny_llama_config(), CLASSIFIER),
    ],
    ids=["bert", "deberta", "llama", "llama-tags"],
)
def test_a_job_can_start_from_what_is_written(architecture, make, tmp_path):
    tokenizer = stand_in_tokenizer(architecture, TEXTS)
    # A tag head is put on a causal model: that is what is published.
    written = CAUSAL if architecture.model_type == "llama" else make
    write_stand_in(tmp_path, written, architecture, tokenizer, torch.bfloat16)
    check_base(make, tmp_path)
    model = read_model(make, tmp_path, new_head=make is CLASSIFIER)
    assert model.num_parameters() == make.from_config(architecture).num_parameters()
    assert model.dtype == torch.bfloat16
    matrix = model.get_input_embeddings().weight.float()
    assert matrix[5:].std().item() == pytest.approx(0.02, rel=0.1)
    assert len({tuple(row) for row in matrix[5:50].tolist()}) == 45


def test_a_model_is_written_in_files_of_a_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(stand_in, "_FILE_BYTES", 40_000)
    architecture = tiny_llama_config(tied=False)
    write_stand_in(tmp_path, CAUSAL, architecture, stand_in_tokenizer(architecture, TEXTS), torch.bfloat16)
    files = weights_files(tmp_path)
    assert len(files) > 3
    held = [read_header(file) for file in files]
    assert sum(map(len, held)) == len({name for tensors in held for name in tensors})
    # The two largest matrices (76,800 bytes) are files of their own; no other file is over the bound.
    assert sorted(file.stat().st_size > 42_000 for file in files)[-3:] == [False, True, True]
    read_model(CAUSAL, tmp_path)


def test_shared_weights_are_written_once(tmp_path):
    architecture = tiny_llama_config(tied=True)
    write_stand_in(tmp_path, CAUSAL, architecture, stand_in_tokenizer(architecture, TEXTS), torch.bfloat16)
    assert "lm_head.weight" not in read_header(weights_files(tmp_path)[0])
    model = read_model(CAUSAL, tmp_path)
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_the_config_is_the_architectures(tmp_path):
    architecture = BertConfig(vocab_size=700, **SMALL)
    write_stand_in(tmp_path, CLASSIFIER, architecture, stand_in_tokenizer(architecture, TEXTS), torch.float32)
    config = read_config(tmp_path)
    assert (config.hidden_size, config.vocab_size, config.dtype) == (32, 700, torch.float32)
    assert config.pad_token_id == 0
    assert architecture.dtype is None  # the caller's is as it was
