"""LoRA on GPT-2, whose linear layers are Conv1D: learned, saved, read back, merged."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from raybio.config import CorpusSection, TrainDecoderConfig
from raybio.config.train_decoder import LoraSection, QuantizationSection
from raybio.taggers.hugging_face import read_model
from raybio.training.adapter import adapted_model, load_adapter, merge_adapter, save_adapter
from raybio.training.recipes import AdapterRecipe

IDS = torch.arange(1, 9)[None]
TARGETS = ("c_attn", "c_proj", "c_fc")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(0)
    config = AutoConfig.for_model("gpt2", vocab_size=16, n_embd=64, n_layer=2, n_head=4, n_positions=32)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def adapted(folder, bits):
    config = TrainDecoderConfig(
        job="train-decoder",
        model=str(folder),
        corpus=CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv"),
        lora=LoraSection(r=4, dropout=0.0, target_modules=TARGETS),
        quantization=QuantizationSection(bits=bits),
    )
    return adapted_model(AdapterRecipe.of(config), folder, ("A",), {}, torch.device("cpu"), torch.float32)


@torch.no_grad()
def logits(model):
    return model.eval()(input_ids=IDS).logits


@pytest.mark.parametrize("bits", [4, 32])
def test_what_gpt2_learned_is_read_back_and_merged(gpt2, tmp_path, bits):
    model = adapted(gpt2, bits)
    before = logits(model)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(any(f".{target}.lora_A" in name for name in names) for target in TARGETS)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(2):  # the first step moves one of an adapter's two matrices only
        model.train()(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    learned = logits(model)
    assert (learned - before).abs().max() > 0.1
    save_adapter(model, tmp_path, None)
    again = adapted(gpt2, bits)
    load_adapter(again, tmp_path)
    torch.testing.assert_close(logits(again), learned)
    if bits == 32:
        plain = merge_adapter(read_model(AutoModelForCausalLM, gpt2, dtype=torch.float32), tmp_path)
        plain.save_pretrained(tmp_path / "merged")
        torch.testing.assert_close(
            logits(read_model(AutoModelForCausalLM, tmp_path / "merged")), learned, rtol=1e-4, atol=1e-4
        )
