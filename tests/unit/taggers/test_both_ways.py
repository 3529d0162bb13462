"""Blocks of LLMs that read both ways, in each architecture that raybio says it can do so for."""

import json
import random
import shutil
from importlib.util import find_spec

import pytest
import torch
from tiny_llama import write_tiny_llama
from transformers import AutoConfig, AutoModelForTokenClassification

from raybio.config import (
    CorpusSection,
    DecoderTrainingSection,
    LoraSection,
    QuantizationSection,
    TrainDecoderConfig,
)
from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.iob2 import tag_set
from raybio.taggers import check_tagger, load_tagger
from raybio.taggers.both_ways import blocks_of, check_attention, read_both_ways
from raybio.taggers.calibration import write_calibration
from raybio.taggers.card import CARD
from raybio.taggers.encoder import load_classifier
from raybio.taggers.encoder_card import EncoderCard
from raybio.taggers.hugging_face import complete_classifiers, read_config, read_model, read_tokenizer
from raybio.taggers.twin import twin
from raybio.training import steps
from raybio.training.adapter import adapted_model, merge_adapter, save_adapter
from raybio.training.encoder_steps import ExampleMaker
from raybio.training.recipes import AdapterRecipe
from raybio.training.soup import mean_model

needs_openvino = pytest.mark.skipif(
    not all(find_spec(name) for name in ("openvino", "nncf")), reason="openvino and nncf are not installed"
)
WINDOW = 8  # a twin's
FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 4096},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1},
    "qwen3": {},
    "gemma": {},
    "gemma2": {},
    "gemma3_text": {},
    "smollm3": {},
    "phi3": {"sliding_window": 2047},
}
WINDOWED = {"mistral": {0, 1}, "qwen2": {1}, "gemma2": {0}, "gemma3_text": {0}, "phi3": {0, 1}}
TOKENS = 20
IDS = torch.arange(1, TOKENS + 1)[None]


def architecture(family):
    config = AutoConfig.for_model(family, **FAMILIES[family])
    complete_classifiers(config)
    return config


def model_of(family, blocks, attention="eager"):
    model = twin(AutoModelForTokenClassification, architecture(family))
    if attention != "sdpa":  # what transformers itself takes where the architecture has it
        model.set_attn_implementation(attention)
    read_both_ways(model, blocks)
    return model


def logits(model, ids, mask=None):
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask).logits


def seen(family, block, both_ways, length=TOKENS, padding=0):
    """Write out by hand which tokens (columns) each token (rows) of a block sees."""
    window = WINDOW if block in WINDOWED.get(family, ()) else length
    return [
        [
            j < length - padding and (abs(i - j) < window if both_ways else 0 <= i - j < window)
            for j in range(length)
        ]
        for i in range(length - padding)
    ]


@pytest.mark.parametrize("family", FAMILIES)
class TestEachArchitecture:
    @pytest.mark.parametrize("blocks", [[], [0], [1], [0, 1]])
    def test_each_block_sees_what_it_is_to_see_and_nothing_else(self, family, blocks):
        padding = 5
        mask = torch.ones_like(IDS)
        mask[0, TOKENS - padding :] = 0
        with torch.inference_mode():
            found = model_of(family, blocks)(input_ids=IDS, attention_mask=mask, output_attentions=True)
        for block, weights in enumerate(found.attentions):
            rows = (weights[0] > 0).all(dim=0)[: TOKENS - padding].tolist()
            assert rows == seen(family, block, block in blocks, TOKENS, padding)

    @pytest.mark.parametrize("attention", ["sdpa", "eager"])
    def test_an_early_word_changes_with_a_later_one_only_both_ways(self, family, attention):
        other = IDS[:, :WINDOW].clone()
        other[0, -1] += 20
        for blocks in ([], [0], [1], [0, 1]):
            model = model_of(family, blocks, attention)
            first = [logits(model, ids)[0, 0] for ids in (IDS[:, :WINDOW], other)]
            assert torch.allclose(*first, atol=1e-6) is (not blocks)

    def test_sdpa_and_eager_attention_are_one(self, family):
        mask = torch.ones(2, TOKENS, dtype=torch.long)
        mask[1, 9:] = 0
        both = [logits(model_of(family, [1], kind), IDS.expand(2, -1), mask) for kind in ("sdpa", "eager")]
        torch.testing.assert_close(both[0][mask == 1], both[1][mask == 1], atol=1e-3, rtol=1e-3)

    @pytest.mark.parametrize("attention", ["sdpa", "eager"])
    def test_padding_and_company_change_nothing(self, family, attention):
        model = model_of(family, [0, 1], attention)
        lengths = (3, TOKENS, 9)
        mask = torch.tensor([[1] * n + [0] * (TOKENS - n) for n in lengths])
        together = logits(model, IDS.expand(3, -1), mask)
        for row, length in zip(together, lengths, strict=True):
            torch.testing.assert_close(row[:length], logits(model, IDS[:, :length])[0], atol=1e-3, rtol=1e-3)

    def test_the_check_lets_it_pass(self, family):
        check_attention("upper-half", architecture(family))


class TestWhatIsRefused:
    @pytest.mark.parametrize("family", ["bert", "gpt2", "qwen3_next", "mamba"])
    def test_an_architecture_that_cannot(self, family):
        check_attention("causal", AutoConfig.for_model(family))
        with pytest.raises(ModelError, match=r"[Nn]ame (another|a) model") as refusal:
            check_attention("bidirectional", AutoConfig.for_model(family))
        assert "\n" not in str(refusal.value)

    def test_an_architecture_that_attends_as_it_likes(self, monkeypatch):
        monkeypatch.setattr("raybio.taggers.both_ways._both_ways", lambda window, block, args, kwargs: None)
        with pytest.raises(ModelError, match="blocks of a llama model cannot be made to read both ways"):
            check_attention([1], architecture("llama"))

    def test_a_block_that_is_not_there(self):
        with pytest.raises(ModelError, match=r"attention: there is no block 40: .* blocks 0 to 31"):
            blocks_of((0, "30-40"), architecture("llama"))
        with pytest.raises(ModelError, match="has no block 2 that could read both ways"):
            model_of("llama", [2])

    def test_attention_that_is_causal_alone(self):
        model = twin(AutoModelForTokenClassification, architecture("llama"))
        model.config._attn_implementation = "flash_attention_2"
        with pytest.raises(ModelError, match="flash_attention_2 attention is causal alone"):
            read_both_ways(model, [0])


# A model folder ---------------------------------------------------------------------------------

LABELS = ["Chemical"]
TEXT = ("Naloxone", "reverses", "the", "effect", "of", "clonidine", ".")


def sentence(*words):
    return Sentence("s", words, tuple(range(len(words))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tag head on a tiny Llama of two blocks, the upper of which reads both ways."""
    path = write_tiny_llama(tmp_path_factory.mktemp("head"), [" ".join(TEXT)] * 3)
    tags = tag_set(LABELS)
    options = {"id2label": dict(enumerate(tags)), "label2id": {tag: i for i, tag in enumerate(tags)}}
    torch.manual_seed(0)
    model = AutoModelForTokenClassification.from_pretrained(path, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)
    model.save_pretrained(path)
    card(blocks_both_ways=[1]).write(path)
    return path


def card(**changes):
    return EncoderCard(LABELS, 24, 8, "last", "last", spacing="blank", **changes)


def copied(folder, target, of):
    shutil.copytree(folder, target, dirs_exist_ok=True)
    of.write(target)
    return target


def first_scores(tagger):
    """Return what the first word scores in two sentences that differ in their last word."""
    return [tagger.tag([sentence(*TEXT[:-1], end)])[0].scores[0] for end in (".", "!")]


def test_a_folder_tags_as_its_card_says(folder):
    one, other = first_scores(load_tagger(folder, precision="fp32"))
    assert one != pytest.approx(other, abs=1e-4)


def test_a_card_of_before_is_causal(folder, tmp_path):
    path = copied(folder, tmp_path / "before", card())
    record = json.loads((path / CARD).read_text())
    del record["blocks_both_ways"]
    (path / CARD).write_text(json.dumps(record))
    one, other = first_scores(load_tagger(path, precision="fp32"))
    assert one == pytest.approx(other, abs=1e-6)


@needs_openvino
def test_its_int8_form_reads_both_ways_too(folder, tmp_path):
    path = copied(folder, tmp_path / "int8", card(blocks_both_ways=[1]))
    write_calibration(path, [sentence(*TEXT)] * 2)
    one, other = first_scores(load_tagger(path, precision="int8", threads=1))
    assert one != pytest.approx(other, abs=1e-4)


def test_the_driver_refuses_a_card_of_blocks_that_are_not_there(folder, tmp_path):
    check_tagger(folder)
    with pytest.raises(ModelError, match="has no block 7 that could read both ways"):
        check_tagger(copied(folder, tmp_path / "seven", card(blocks_both_ways=[7])))


def test_a_soup_reads_as_its_models_do(folder, tmp_path):
    ids = torch.arange(1, 9)[None]
    twice = mean_model([folder, copied(folder, tmp_path / "same", card(blocks_both_ways=[1]))])
    torch.testing.assert_close(logits(twice, ids), logits(load_classifier(folder), ids))
    with pytest.raises(ModelError, match=r"has blocks_both_ways \[\] where .* has \[1\]"):
        mean_model([folder, copied(folder, tmp_path / "causal", card())])


def test_windows_and_company_change_no_tag(folder):
    tagger = load_tagger(folder, precision="fp32")
    rng = random.Random(0)
    sentences = [sentence(*rng.choices(TEXT, k=length)) for length in (40, 3, 9, 150, 1)]
    together = tagger.tag(sentences)
    assert tagger.counts["subwords_dropped"] == 0 < tagger.counts["windows"] - len(sentences)
    for one, tags in zip(sentences, together, strict=True):
        [alone] = tagger.tag([one])
        assert alone.tags == tags.tags
        assert alone.scores == pytest.approx(tags.scores, abs=1e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_it_learns_as_it_tags_and_is_read_back_the_same(folder, tmp_path, checkpointing):
    config = TrainDecoderConfig(
        job="train-decoder",
        model=str(folder),
        head="tags",
        attention=(1,),
        corpus=CorpusSection(train="a", dev="b", test="c"),
        lora=LoraSection(r=4, target_modules=("q_proj", "down_proj")),
        quantization=QuantizationSection(bits=32),
        training=DecoderTrainingSection(gradient_checkpointing=checkpointing, aggregation_strategy="last"),
    )
    device = torch.device("cpu")
    torch.manual_seed(1)
    model = adapted_model(AdapterRecipe.of(config), folder, LABELS, {}, device, torch.float32)
    maker = ExampleMaker.of(card(), read_tokenizer(folder))
    examples = maker.examples(TEXT, ["B-Chemical", "O", "O", "O", "O", "B-Chemical", "O"])
    learner = steps.optimizer_for(model.parameters(), 1e-2, 0.0)
    losses = []
    for _ in range(4):
        loss = steps.summed_loss(model.train(), steps.collate(examples, 0, device))
        learner.zero_grad()
        loss.backward()
        learner.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]

    save_adapter(model, tmp_path / "adapter", None)
    ids = torch.arange(1, 13)[None]
    learned = logits(model.eval(), ids)
    headed = read_model(AutoModelForTokenClassification, folder, config=read_config(folder))
    path = copied(folder, tmp_path / "merged", card(blocks_both_ways=[1]))
    merge_adapter(headed, tmp_path / "adapter").save_pretrained(path)
    torch.testing.assert_close(logits(load_classifier(path), ids), learned, atol=1e-4, rtol=1e-4)


def test_gradients_are_those_without_checkpointing():
    found = []
    for checkpointing in (False, True):
        model = model_of("gemma2", [0, 1]).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(0)  # of the classifier's dropout
        logits_of = model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
        logits_of[0, 0].sum().backward()  # the first token's alone: it hangs on all others both ways
        found.append(model.get_input_embeddings().weight.grad)
    torch.testing.assert_close(*found)
    assert (found[0][1:WINDOW] != 0).any(dim=1).all()
