import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import close_session, constants
from tiny_llama import tiny_llama_config, write_tiny_llama
from transformers import AutoConfig, AutoModelForCausalLM

from raybio.config import (
    CorpusSection,
    DecoderTrainingSection,
    DeepSpeedSection,
    LoraSection,
    PromptSection,
    QuantizationSection,
    TrainDecoderConfig,
    WorkersSection,
    load_job,
)
from raybio.errors import ConfigError, ModelError
from raybio.training.adapter_faults import refusals
from raybio.training.adapter_shapes import count_parameters
from raybio.training.memory import Sizes, memory
from raybio.training.preflight import preflight
from raybio.training.recipes import AdapterRecipe
from raybio.training.shapes import KNOWN

GIB = 2**30
SHIPPED = Path(__file__).parents[3] / "configs" / "train_decoder"
TEXT = "Naloxone\tB-Chemical\nreverses\tO\nhypotension\tB-Disease\n.\tO\n\n"
MISTRAL = KNOWN["mistralai/Mistral-7B-Instruct-v0.3"]


def config(model="any", corpus="nowhere.tsv", **changes):
    files = CorpusSection(train=str(corpus), dev=str(corpus), test=str(corpus))
    return TrainDecoderConfig(job="train-decoder", model=str(model), corpus=files, **changes)


def recipe(**changes):
    return AdapterRecipe.of(config(**changes))


CPU = WorkersSection(accelerator="cpu")
SHORT = DecoderTrainingSection(max_length=512)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return write_tiny_llama(tmp_path_factory.mktemp("llama"), ["Naloxone reverses hypotension ."] * 3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "train.tsv"
    path.write_text(TEXT * 33)
    return path


# Parameters and bytes ---------------------------------------------------------------------------


def test_new_tokens_and_a_tag_head_count():
    lora = LoraSection(r=4, target_modules=("q_proj",))
    plain = count_parameters(recipe(lora=lora), tiny_llama_config(), ["A"])
    assert plain.learning == 2 * 4 * (64 + 64)
    grown = count_parameters(recipe(lora=lora), tiny_llama_config(), ["A"], [600, 601, 602])
    assert grown.learning - plain.learning == 3 * 64
    headed = count_parameters(recipe(lora=lora, head="tags"), tiny_llama_config(), ["A"])
    assert headed.learning - plain.learning == 3 * 64 + 3


def test_four_bits_take_half_a_byte_and_their_scales():
    sizes = Sizes(learning=10, quantizable=64 * 256 * 100, kept=1000)

    def weights(**quantization):
        chosen = recipe(quantization=QuantizationSection(**quantization))
        return memory(chosen, tiny_llama_config(), sizes, 2).weights

    n = sizes.quantizable
    assert weights(bits=4) == n // 2 + n // 64 + 4 * 100 + 2 * 1000
    assert weights(bits=4, double=False) == n // 2 + 4 * n // 64 + 2 * 1000
    assert weights(bits=16) == 2 * (n + 1000)


def test_workers_share_what_zero_shares():
    sizes = Sizes(learning=1_000_000, quantizable=8_000_000, kept=0)

    def estimated(count, stage=2, **changes):
        chosen = recipe(deepspeed=DeepSpeedSection(zero_stage=stage), **changes)
        return memory(chosen, tiny_llama_config(), sizes, 2, workers=count, gpu=False)

    one, two, three = estimated(1), estimated(2), estimated(2, stage=3)
    assert one.optimizer == 12 * sizes.learning and two.optimizer == one.optimizer // 2
    assert (two.gradients, two.adapter, two.weights) == (one.gradients // 2, one.adapter, one.weights)
    assert (three.adapter, three.weights) == (one.adapter // 2, one.weights // 2)
    thrifty = estimated(1, training=DecoderTrainingSection(gradient_checkpointing=True))
    greedy = estimated(1, training=DecoderTrainingSection(gradient_checkpointing=False))
    assert thrifty.activations < greedy.activations


def test_a_mistral_of_four_bits_fits_where_one_of_sixteen_does_not():
    sizes = count_parameters(recipe(), MISTRAL, ["A"])
    four = memory(recipe(), MISTRAL, sizes, 2).weights
    sixteen = memory(recipe(quantization=QuantizationSection(bits=16)), MISTRAL, sizes, 2).weights
    assert four < 4 * GIB < 13 * GIB < sixteen


# What is said, and what is refused --------------------------------------------------------------


def test_a_run_is_estimated_from_model_and_corpus(llama, corpus):
    found = preflight(config(llama, corpus, training=SHORT, workers=CPU))
    weights = AutoModelForCausalLM.from_pretrained(llama)
    assert found.sizes.base == sum(p.numel() for p in weights.parameters())
    assert (found.corpus.sentences, found.corpus.rejected, found.corpus.steps_per_epoch) == (33, 0, 2)
    lines = "\n".join(found.lines())
    assert f"trainable parameters: {found.sizes.learning:,}" in lines and "steps per epoch: 2" in lines


def test_long_sentences_are_predicted(llama, corpus, tmp_path):
    longest = preflight(config(llama, corpus, training=SHORT, workers=CPU)).corpus.longest
    (tmp_path / "mixed.tsv").write_text(TEXT * 32 + TEXT.strip() + "\n" + TEXT)
    fitting = DecoderTrainingSection(max_length=longest)
    found = preflight(config(llama, tmp_path / "mixed.tsv", training=fitting, workers=CPU)).corpus
    assert (found.sentences, found.rejected, found.steps_per_epoch) == (33, 1, 1)
    assert found.longest > longest


def test_a_limit_that_no_sentence_keeps_is_refused(llama, corpus):
    short = DecoderTrainingSection(max_length=16)
    with pytest.raises(ConfigError, match="nothing left to learn from: all 33 training sentences"):
        preflight(config(llama, corpus, training=short, workers=CPU))


def test_a_tag_head_has_no_prompts_to_tell_of(llama, corpus):
    lines = preflight(config(llama, corpus, head="tags", training=SHORT, workers=CPU)).lines()
    assert lines[-2:] == ["training sentences: 33", "steps per epoch: 2"]


def test_without_the_corpus_the_rest_is_estimated(llama):
    found = preflight(config(llama, training=SHORT, workers=CPU))
    assert found.corpus is None
    assert any("not at hand" in line and "nowhere.tsv" in line for line in found.lines())


@pytest.mark.parametrize(
    ("text", "fault"),
    [("Naloxone\tB-Chemical\nreverses\tX-What\n", "line 2"), ("", "bad.tsv")],
)
def test_a_corpus_that_is_there_and_faulty_is_refused(llama, tmp_path, text, fault):
    (tmp_path / "bad.tsv").write_text(text)
    with pytest.raises(ConfigError, match=fault) as error:
        preflight(config(llama, tmp_path / "bad.tsv", training=SHORT, workers=CPU))
    assert len(error.value.faults) == 1


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    close_session()  # a session remembers whether it is offline
    yield
    close_session()


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("name", "learning"),
    [
        ("mistral_7b_1gpu", 340_262_912),
        ("mistral_7b_2gpu", 340_262_912),
        ("llama_8b_1gpu", 352_485_376),
        ("llama_8b_2gpu", 352_485_376),
    ],
)
def test_the_studys_models_are_estimated_without_the_hub(name, learning, corpus):
    shipped = load_job(TrainDecoderConfig, SHIPPED / f"{name}.yaml", [])
    files = CorpusSection(train=str(corpus), dev=str(corpus), test=str(corpus))
    found = preflight(shipped.model_copy(update={"corpus": files}))
    assert found.sizes.learning == learning
    assert (found.corpus.sentences, found.corpus.rejected) == (33, None)
    lines = found.lines()
    assert lines[-1].startswith("token figures not at hand: ") and not any("steps" in line for line in lines)


@pytest.mark.usefixtures("no_hub")
def test_rows_that_only_a_tokenizer_could_count_are_said_to_be_left_out(corpus):
    changes = {
        "prompt": PromptSection(tag_tokens=True),
        "lora": LoraSection(target_modules=("q_proj",)),
        "workers": CPU,
    }
    found = preflight(config("mistralai/Mistral-7B-Instruct-v0.3", corpus, **changes))
    assert "prompt.tag_tokens trains are not counted" in found.no_tokens


def test_a_tokenizer_that_is_there_and_broken_is_refused(llama, corpus, tmp_path):
    broken = shutil.copytree(llama, tmp_path / "broken")
    (broken / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match="1 fault"):
        preflight(config(broken, corpus, training=SHORT, workers=CPU))


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"training": DecoderTrainingSection(max_length=4096)}, ["length over the model's limit"]),
        ({"prompt": PromptSection(chat_template=True)}, ["chat template"]),
        ({"prompt": PromptSection(aliases={"Chemical": "Disease"})}, ["is a label itself"]),
        ({"lora": LoraSection(target_modules=("q_proj", "query"))}, ["targets that the model lacks"]),
        ({"prompt": PromptSection(tag_tokens=True)}, ["tag tokens with an adapted head"]),
        (
            {
                "training": DecoderTrainingSection(max_length=4096),
                "lora": LoraSection(target_modules=("query",)),
                "prompt": PromptSection(tag_tokens=True),
                "deepspeed": DeepSpeedSection(zero_stage=3),
            },
            ["length over the model's limit", "targets that the model lacks", "tag tokens with ZeRO-3"],
        ),
    ],
)
def test_what_is_known_to_fail_is_refused_all_at_once(llama, corpus, changes, faults):
    with pytest.raises(ConfigError) as error:
        preflight(config(llama, corpus, **{"training": SHORT, "workers": CPU, **changes}))
    assert len(error.value.faults) == len(faults)
    assert all(fault in found for fault, found in zip(faults, error.value.faults, strict=True))


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_what_this_machine_cannot_do_is_refused(llama, corpus):
    training = DecoderTrainingSection(max_length=512, optimizer="paged-adamw-8bit")
    storage = QuantizationSection(storage="bfloat16")
    zero = DeepSpeedSection(zero_stage=3)
    with pytest.raises(ConfigError) as error:
        preflight(config(llama, corpus, training=training, quantization=storage, deepspeed=zero))
    assert [fault.partition(":")[0] for fault in error.value.faults] == [
        "paged optimizer on CPU",
        "ZeRO-3 with mismatched quant storage",
    ]


def test_a_model_that_does_not_write_is_refused(tiny_encoder, corpus):
    with pytest.raises(ConfigError, match="not a causal language model"):
        preflight(config(tiny_encoder, corpus, training=SHORT, workers=CPU))


@pytest.mark.parametrize(
    ("architecture", "head", "targets", "fault"),
    [
        ("llama", "text", ("q_proj",), None),
        ("llama", "tags", ("q_proj",), None),
        ("gpt2", "text", ("c_attn", "c_proj", "c_fc"), None),  # layers of transformers' own kind, Conv1D
        ("gpt2", "tags", ("c_attn",), None),
        ("gemma3_text", "text", ("q_proj",), None),
        ("mpt", "text", ("Wqkv",), "cannot write tags here"),
        ("mpt", "tags", ("Wqkv",), None),
        ("mamba", "text", ("in_proj",), "cannot write tags here"),
        ("mamba", "tags", ("in_proj",), "transformers has no TokenClassification model of this architecture"),
    ],
)
def test_an_architecture_is_tried_on_its_twin(architecture, head, targets, fault):
    shape = AutoConfig.for_model(architecture)
    shape.architectures = [f"{architecture}ForCausalLM"]
    chosen = recipe(head=head, lora=LoraSection(target_modules=targets), training=SHORT)
    found = refusals(chosen, shape, gpu=False)
    assert len(found) == (fault is not None)
    assert not fault or fault in found[0]


@pytest.mark.parametrize(
    ("name", "attention", "fault"),
    [
        ("gpt2", "bidirectional", "has no block 0 that could read both ways"),
        ("llama", (0, "30-99"), "attention: there is no block 99: this model has blocks 0 to 31"),
    ],
)
def test_blocks_that_cannot_read_both_ways_are_refused(name, attention, fault):
    shape = AutoConfig.for_model(name, architectures=["ALMHeadModel"])
    (found,) = refusals(recipe(head="tags", attention=attention, training=SHORT), shape, gpu=False)
    assert fault in found


def test_what_fails_in_the_first_step_is_refused(monkeypatch):
    monkeypatch.setattr("raybio.training.adapter_faults.add_adapter", lambda *_: torch.nn.Linear(2, 2))
    shape = tiny_llama_config()
    shape.architectures = ["LlamaForCausalLM"]
    (fault,) = refusals(
        recipe(lora=LoraSection(target_modules=("q_proj",)), training=SHORT), shape, gpu=False
    )
    assert fault.startswith("a small llama model cannot be trained so (TypeError")


def test_a_model_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ModelError):
        preflight(config(tmp_path, workers=CPU))
