import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from samples import sentence_of_words
from transformers import AutoConfig, AutoModelForCausalLM, LlamaForCausalLM

from raybio.errors import ModelError
from raybio.taggers import load_tagger
from raybio.taggers.decoder import DecoderCard, DecoderTagger
from raybio.taggers.language_model import FourBit, attach_adapter, describe_base, load_base

WORDS = ["Naloxone", "reverses", "the", "antihypertensive", "effect", "of", "clonidine", "in", "rats", "."]


SENTENCES = [
    *(sentence_of_words(*WORDS[i:], *WORDS[:i], name=str(i)) for i in range(5)),
    sentence_of_words(),
    sentence_of_words("β-2"),
]


@pytest.fixture(scope="module")
def tagger(tiny_decoder):
    return DecoderTagger.load(tiny_decoder, device="cpu")


def test_every_word_gets_a_tag_and_the_effort_is_reported(tagger):
    tagged = tagger.tag(SENTENCES)
    assert [len(one.tags) for one in tagged] == [len(s) for s in SENTENCES]
    assert all(0 <= score <= 1 for one in tagged for score in one.scores)
    first = tagged[0].effort
    assert 1 <= first.passes <= len(WORDS) * 5 and first.tokens_fed > len(WORDS) and first.seconds > 0
    assert tagged[5].tags == () and tagged[5].effort.passes == 0
    assert tagger.labels == ("Chemical", "Disease")
    assert tagger.counts["subwords_dropped"] == 0 and tagger.counts["windows"] == 6


@pytest.mark.parametrize("draft", ["outside", "previous"])
def test_the_mode_decides_the_tags_and_the_draft_does_not(tiny_decoder, tagger, draft):
    other = DecoderTagger.load(tiny_decoder, device="cpu", mode="forced-tags", draft=draft)
    assert [one.tags for one in other.tag(SENTENCES)] == [one.tags for one in tagger.tag(SENTENCES)]


def test_an_encoder_may_draft(tiny_decoder, tiny_encoder, tagger):
    decoding = {
        "mode": "verified-tags",
        "draft": "encoder",
        "draft_model": str(tiny_encoder),
        "constrained_decoding": False,
    }
    drafted = load_tagger(tiny_decoder, decoding=decoding)
    assert [one.tags for one in drafted.tag(SENTENCES)] == [one.tags for one in tagger.tag(SENTENCES)]


def test_legal_tags_only(tiny_decoder):
    tagged = DecoderTagger.load(tiny_decoder, device="cpu", constrained_decoding=True).tag(SENTENCES)
    for one in tagged:
        for before, tag in zip(("O", *one.tags), one.tags, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:]


def test_what_is_written_freely_may_be_malformed(tiny_decoder):
    greedy = DecoderTagger.load(tiny_decoder, device="cpu", mode="greedy")
    (tagged,) = greedy.tag(SENTENCES[:1])
    assert len(tagged.tags) == len(WORDS)
    assert len(tagged.malformed) == greedy.counts["malformed"] > 0
    for fault in tagged.malformed:
        assert all(tagged.tags[word] == "O" and tagged.scores[word] == 0 for word in fault.words)


def test_the_adapter_is_merged_without_changing_what_it_computes(tiny_decoder, tiny_llm):
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(tiny_llm)
    wrapped = PeftModel.from_pretrained(base, tiny_decoder).eval()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        expected = wrapped(input_ids=ids).logits
    reader = DecoderTagger.load(tiny_decoder, device="cpu")._reader
    with torch.inference_mode():
        hidden = reader._decoder(input_ids=ids).last_hidden_state
    assert torch.allclose(reader.head.logits(hidden), expected, atol=1e-3)


def test_an_adapted_head_leaves_the_embedding_that_it_shares_alone(tiny_llm, tmp_path):
    base = LlamaForCausalLM.from_pretrained(tiny_llm, tie_word_embeddings=True)
    base.tie_weights()
    base.save_pretrained(tmp_path / "base")
    torch.manual_seed(2)
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules=["lm_head"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        expected = adapted.eval()(input_ids=ids).logits
        fresh = LlamaForCausalLM.from_pretrained(tmp_path / "base")
        merged = attach_adapter(fresh, tmp_path / "adapter", "base").merge_and_unload().eval()
        assert torch.allclose(merged(input_ids=ids).logits, expected, atol=1e-3)


def test_a_long_sentence_is_read_in_windows_and_nothing_is_cut(tiny_decoder, tagger):
    long = sentence_of_words(*WORDS * 40)
    before = tagger.counts["windows"]
    (tagged,) = tagger.tag([long])
    assert len(tagged.tags) == len(long)
    assert tagger.counts["windows"] - before > 5
    assert tagger.counts["subwords_dropped"] == 0
    assert tagged.effort.passes >= tagger.counts["windows"] - before


def test_a_word_longer_than_the_context_is_refused_by_name(tagger):
    with pytest.raises(
        ModelError, match=r"the word 'x7x7x7x7x7x7x7x7x7x7'... of 2000 characters takes .* tokens"
    ):
        tagger.tag([sentence_of_words("a", "x7" * 1000)])


def test_four_bits_tag_too(tiny_decoder):
    tagged = load_tagger(tiny_decoder, precision="4bit").tag(SENTENCES)
    assert [len(one.tags) for one in tagged] == [len(s) for s in SENTENCES]


def test_an_adapter_meets_its_base_as_it_was_rounded_when_it_learned(
    tiny_decoder, tiny_llm, tagger, tmp_path
):
    folder = shutil.copytree(tiny_decoder, tmp_path / "rounded")
    describe_base(folder, tiny_llm, FourBit(weights="float32"))
    rounded = DecoderTagger.load(folder, device="cpu").tag(SENTENCES)
    assert [one.scores for one in rounded] != [one.scores for one in tagger.tag(SENTENCES)]
    model = load_base(
        LlamaForCausalLM,
        tiny_llm,
        dtype=torch.float32,
        device=torch.device("cpu"),
        rounded=FourBit.read(folder),
    )
    plain = LlamaForCausalLM.from_pretrained(tiny_llm)
    weight, before = (one.model.layers[0].self_attn.q_proj.weight for one in (model, plain))
    # A block of 64 weights has a scale of its own and 16 values to choose from.
    assert len(weight.flatten()[:64].unique()) <= 16 < len(before.flatten()[:64].unique())
    assert torch.allclose(weight, before, atol=float(before.abs().max()) / 4)


def test_a_broken_rounding_is_named(tiny_decoder, tmp_path):
    folder = shutil.copytree(tiny_decoder, tmp_path / "broken")
    (folder / "adapter_base.json").write_text('{"bits": 3}')
    with pytest.raises(ModelError, match=r"adapter_base.json does not say how weights are rounded"):
        DecoderTagger.load(folder, device="cpu")


def test_the_card_survives_the_folder(tiny_decoder, tiny_llm):
    card = DecoderCard.read(tiny_decoder)
    assert card.base_model == str(tiny_llm)
    assert card.style.labels == ("Chemical", "Disease")


def test_a_folder_without_a_card_is_refused(tiny_llm):
    with pytest.raises(ModelError, match="nothing says how this LLM is prompted"):
        DecoderTagger.load(tiny_llm)


def test_an_adapter_of_another_base_is_refused(tiny_decoder, smollm2):
    with pytest.raises(ModelError, match=r"does not fit the base model .*Name the base model that it was"):
        DecoderTagger.load(tiny_decoder, base_model=str(smollm2))


def test_another_base_of_the_same_shape_is_refused(tiny_decoder, tiny_llm, tagger, tmp_path):
    folder = shutil.copytree(tiny_decoder, tmp_path / "adapter")
    other = shutil.copytree(tiny_llm, tmp_path / "other")
    torch.manual_seed(7)
    LlamaForCausalLM(AutoConfig.from_pretrained(tiny_llm)).save_pretrained(other)
    # An adapter that does not tell its base's weights loads on any of their shape.
    DecoderTagger.load(folder, base_model=str(other), device="cpu")
    describe_base(folder, tiny_llm, None)
    assert FourBit.read(folder) is None
    again = DecoderTagger.load(folder, device="cpu").tag(SENTENCES)
    assert [one.tags for one in again] == [one.tags for one in tagger.tag(SENTENCES)]
    with pytest.raises(ModelError, match=rf"was trained on {tiny_llm} .*, and {other} has other weights"):
        DecoderTagger.load(folder, base_model=str(other))


def test_an_encoder_as_base_is_refused(tiny_decoder, minilm):
    with pytest.raises(ModelError, match="is a BertModel, which does not write text from left to right"):
        DecoderTagger.load(tiny_decoder, base_model=str(minilm))


def test_colliding_aliases_in_a_card_are_refused(tiny_decoder, tmp_path):
    folder = shutil.copytree(tiny_decoder, tmp_path / "copy")
    card = json.loads((folder / "raybio.json").read_text())
    card["style"]["aliases"] = {"Chemical": "X", "Disease": "X"}
    (folder / "raybio.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="have the same alias 'X'"):
        DecoderTagger.load(folder)


def test_out_of_memory_says_what_to_lower(tiny_decoder, monkeypatch):
    tagger = DecoderTagger.load(tiny_decoder, device="cpu")

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tagger, "_decode", full)
    with pytest.raises(
        ModelError, match=r"do not fit in the device's memory. Lower max_batch_tokens \(now 2048\)"
    ):
        tagger.tag(SENTENCES)


def test_precisions_of_the_other_kind_are_refused(tiny_decoder, tiny_encoder):
    with pytest.raises(ModelError, match="int8 is for encoders"):
        load_tagger(tiny_decoder, precision="int8")
    with pytest.raises(ModelError, match="4bit is for LLMs"):
        load_tagger(tiny_encoder, precision="4bit")
    with pytest.raises(ModelError, match="has no decode mode"):
        load_tagger(tiny_encoder, decoding={"mode": "greedy"})
    with pytest.raises(ModelError, match="no token classifier: its labels are in its card"):
        load_tagger(tiny_decoder, labels={"Disease": None})
