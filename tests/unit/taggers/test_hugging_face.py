"""What transformers would let pass, or end with an error of its own, is one line of ours."""

import builtins
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    BertConfig,
    BertForMaskedLM,
    BertForTokenClassification,
    BertModel,
    DebertaV2Config,
)

from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.model_sources import base_folder
from raybio.taggers import check_tagger, load_tagger
from raybio.taggers.hugging_face import check_base, read_model, read_tokenizer

ROOT = Path(__file__).resolve().parents[3]
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture
def folder(tiny_encoder, tmp_path):
    return Path(shutil.copytree(tiny_encoder, tmp_path / "model"))


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("asked on the terminal"))


def change(path, **changes):
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))


def reweigh(folder, change_tensors):
    tensors = load_file(folder / "model.safetensors")
    save_file(change_tensors(tensors), folder / "model.safetensors", {"format": "pt"})


def without(*endings):
    return lambda folder: reweigh(
        folder, lambda tensors: {k: v for k, v in tensors.items() if not k.endswith(endings)}
    )


def with_config(**changes):
    return lambda folder: change(folder / "config.json", **changes)


def with_card(**changes):
    return lambda folder: change(folder / "raybio.json", **changes)


def without_tokenizer(folder):
    for name in TOKENIZER_FILES:
        (folder / name).unlink(missing_ok=True)


def with_labels(folder, labels):
    change(folder / "config.json", id2label=labels)


TAGS = {"0": "O", "1": "B-Chemical", "2": "I-Chemical", "3": "B-Disease", "4": "I-Disease"}

DAMAGED = {
    "no head": (
        without("classifier.weight", "classifier.bias"),
        "has no weights of classifier.bias, classifier.weight: ",
    ),
    "half a head": (
        without("classifier.bias"),
        "has no weights of classifier.bias: its head was never trained",
    ),
    "no layer": (without("query.weight"), r"has no weights of bert.encoder.layer.0.\S+query.weight.* needs"),
    "no weights at all": (
        lambda at: reweigh(at, lambda _: {"a": torch.zeros(1)}),
        r"and \d+ more, which a BertFor",
    ),
    "a head of another size": (
        lambda at: reweigh(at, lambda t: {**t, "classifier.weight": t["classifier.weight"][:3].clone()}),
        "has weights of another size than its config.json says of classifier.weight",
    ),
    "layers of another size": (
        with_config(intermediate_size=48),
        "another size than its config.json says of bert",
    ),
    "no tokenizer": (without_tokenizer, "has no tokenizer: no tokenizer.json"),
    "a broken tokenizer": (
        lambda at: (at / "tokenizer.json").write_text("{}"),
        "its tokenizer cannot be read",
    ),
    "half a tokenizer": (
        lambda at: (at / "tokenizer.json").write_text('{"version"'),
        "its tokenizer cannot be read",
    ),
    "another's tokenizer": (
        with_config(vocab_size=100),
        "another size than its config.json says of bert.embeddings",
    ),
    "text for a number": (with_config(hidden_size="32"), "its config.json cannot be read"),
    "a list for a number": (with_config(num_hidden_layers=[2]), "its config.json cannot be read"),
    "an odd number of heads": (with_config(num_attention_heads=5), "no model can be made by its config"),
    "an unknown activation": (with_config(hidden_act="nothing"), "no model can be made by its config"),
    "an unknown architecture": (with_config(model_type="nothing"), "its config.json cannot be read"),
    "no architecture": (with_config(model_type=None), "its config.json cannot be read"),
    "a number for an architecture": (with_config(model_type=3), "its config.json cannot be read"),
    "labels in a list": (lambda at: with_labels(at, [*TAGS.values()]), ""),
    "labels with a hole": (
        lambda at: with_labels(at, {**TAGS, "6": "B-x", "7": "I-x"}),
        "numbers its 7 outputs 0, 1, ",
    ),
    "labels from 1": (
        lambda at: with_labels(at, {str(int(k) + 1): v for k, v in TAGS.items()}),
        "not 0 to 4",
    ),
    "labels by name": (lambda at: with_labels(at, {v: k for k, v in TAGS.items()}), ""),
    "labels that are numbers": (lambda at: with_labels(at, {k: int(k) for k in TAGS}), ""),
    "labels that are nothing": (lambda at: with_labels(at, dict.fromkeys(TAGS)), ""),
    "too few labels": (lambda at: with_labels(at, dict([*TAGS.items()][:3])), ""),
    "no labels": (lambda at: with_labels(at, {}), ""),
    "a card in a list": (lambda at: (at / "raybio.json").write_text("[]"), "raybio.json: not a JSON object"),
    "a card cut off": (lambda at: (at / "raybio.json").write_text('{"kind": '), "raybio.json: not JSON"),
    "a card of text": (
        with_card(max_length="many"),
        "raybio.json: max_length: input should be",
    ),
    "a card of one text": (with_card(labels="Disease"), "raybio.json: labels: input should be a valid list"),
    "a card of no decision": (
        with_card(aggregation_strategy="best"),
        "raybio.json: aggregation_strategy: input ",
    ),
    "a card of no kind": (
        with_card(kind="mixer"),
        "is of a model of kind 'mixer', which this",
    ),
    "a card of a list of kinds": (with_card(kind=["encoder"]), "which this raybio cannot read"),
    "a card without a field": (with_card(stride=None), "raybio.json: stride: field required"),
    "a card of a later raybio": (
        with_card(schema_version=99),
        "of schema version 99; this raybio",
    ),
    "a card of no window": (with_card(max_length=0), "raybio.json: max_length"),
    "a card of a negative overlap": (with_card(stride=-1), "raybio.json: stride"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_tagger_is_refused_in_one_line(folder, damage):
    make, said = DAMAGED[damage]
    make(folder)
    messages = []
    for use in (check_tagger, load_tagger):
        with pytest.raises(ModelError, match=said) as caught:
            use(folder)
        messages.append(str(caught.value))
        assert "\n" not in messages[-1] and str(folder) in messages[-1]
    assert messages[0] == messages[1]  # a driver says what a worker would


def test_a_tokenizer_with_words_that_the_model_lacks_is_refused(folder):
    def shrink(tensors):
        name = "bert.embeddings.word_embeddings.weight"
        return {**tensors, name: tensors[name][:200].clone()}

    reweigh(folder, shrink)
    change(folder / "config.json", vocab_size=200)
    for use in (check_tagger, load_tagger):
        with pytest.raises(
            ModelError, match=r"has the tokenizer of another model: .* up to 30,521, .* for 200"
        ):
            use(folder)


def test_a_tokenizer_that_is_not_fast_is_refused_on_the_driver(folder):
    without_tokenizer(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    for use in (check_tagger, load_tagger):
        with pytest.raises(ModelError, match=r"ByT5Tokenizer is not a fast tokenizer") as caught:
            use(folder)
        assert "\n" not in str(caught.value)


def test_an_llm_or_adapter_without_a_card_says_what_it_lacks(tiny_llm, tiny_decoder, tmp_path):
    adapter = Path(shutil.copytree(tiny_decoder, tmp_path / "adapter"))
    (adapter / "raybio.json").unlink()
    for use in (check_tagger, load_tagger):
        for decoding in (None, {"mode": "greedy"}):
            with pytest.raises(ModelError, match=r"is a LlamaForCausalLM, an LLM .* says how it is prompted"):
                use(tiny_llm, decoding=decoding)
            with pytest.raises(
                ModelError, match=r"holds an adapter, and no raybio.json says how its model tags"
            ):
                use(adapter, decoding=decoding)


def test_an_adapter_is_no_base_for_another(tiny_decoder, tmp_path):
    with pytest.raises(ModelError, match=r"holds an adapter on .*, and no training starts from one"):
        base_folder(str(tiny_decoder))
    other = Path(shutil.copytree(tiny_decoder, tmp_path / "other"))
    change(other / "raybio.json", base_model=str(tiny_decoder))
    for use in (check_tagger, load_tagger):
        with pytest.raises(ModelError, match=r"holds an adapter, not a whole model"):
            use(other)


def test_a_damaged_base_is_named(tiny_decoder, tiny_llm, tmp_path):
    base = Path(shutil.copytree(tiny_llm, tmp_path / "base"))
    adapter = Path(shutil.copytree(tiny_decoder, tmp_path / "adapter"))
    change(adapter / "raybio.json", base_model=str(base))
    check_tagger(adapter)
    without("q_proj.weight")(base)
    for use in (check_tagger, load_tagger):
        with pytest.raises(
            ModelError, match=r"base has no weights of model.layers.0.self_attn.q_proj.weight"
        ):
            use(adapter)
    (base / "config.json").write_text("[]")
    with pytest.raises(ModelError, match=r"config.json holds a JSON list"):
        check_tagger(adapter)


def test_an_adapter_of_another_shape_is_refused_on_the_driver(tiny_decoder, tmp_path):
    adapter = Path(shutil.copytree(tiny_decoder, tmp_path / "adapter"))
    tensors = load_file(adapter / "adapter_model.safetensors")
    save_file({k: v[:1].clone() for k, v in tensors.items()}, adapter / "adapter_model.safetensors")
    for use in (check_tagger, load_tagger):
        with pytest.raises(ModelError, match=r"does not fit the base model"):
            use(adapter)


def test_training_starts_from_a_body_and_makes_its_head_anew(minilm, tiny_llm, tiny_encoder, tmp_path):
    check_base(AutoModelForTokenClassification, minilm)
    check_base(AutoModelForMaskedLM, minilm)
    check_base(AutoModelForTokenClassification, tiny_llm)
    check_base(AutoModelForTokenClassification, tiny_encoder)
    check_base(AutoModelForCausalLM, tiny_llm)
    other = Path(shutil.copytree(tiny_encoder, tmp_path / "other"))
    with_config(model_type="electra")(other)
    with pytest.raises(ModelError, match=r"other has no weights of electra.* and \d+ more, which a Electra"):
        check_base(AutoModelForTokenClassification, other)
    without_tokenizer(other)
    with pytest.raises(ModelError, match="has no tokenizer"):
        check_base(AutoModelForTokenClassification, other)
    with pytest.raises(ModelError, match=r"cannot fill in words. Name an encoder such as BERT"):
        check_base(AutoModelForMaskedLM, tiny_llm)


def code_of_its_own(folder, **auto):
    (folder / "code.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    change(folder / "config.json", auto_map=dict.fromkeys(auto, "code.Own"))


@pytest.mark.parametrize(
    "auto",
    ["AutoConfig", "AutoModelForTokenClassification", "AutoModel", "AutoTokenizer", "AutoModelForCausalLM"],
)
def test_code_of_a_known_architecture_is_left_alone(folder, auto):
    code_of_its_own(folder, **{auto: 1})
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["code.Own", "code.Own"]})
    check_tagger(folder)
    assert load_tagger(folder, device="cpu").labels == ("Chemical", "Disease")
    assert not [*folder.rglob("ran")]


def test_a_model_that_needs_code_of_its_own_is_refused_and_nobody_asked(folder):
    code_of_its_own(folder, AutoConfig=1, AutoModelForTokenClassification=1)
    change(folder / "config.json", model_type="own")
    for use in (check_tagger, load_tagger, lambda at: check_base(AutoModelForTokenClassification, at)):
        with pytest.raises(ModelError, match=r"needs code that comes with it, which is never run") as caught:
            use(folder)
        assert "\n" not in str(caught.value)
    assert not [*folder.rglob("ran")]


def test_transformers_is_reached_through_one_door():
    """Elsewhere its loaders would open what they like."""
    doors = {"raybio/taggers/hugging_face.py", "raybio/model_conversion.py", "raybio/classifier_adapters.py"}
    asked = ("AutoConfig.from_pretrained(", "AutoTokenizer.from_pretrained(", "torch.load(", "pickle.load(")
    found = {}
    for path in (ROOT / "raybio").rglob("*.py"):
        for line in path.read_text().splitlines():
            name = str(path.relative_to(ROOT))
            if name not in doors and (any(one in line for one in asked) or ".from_pretrained(" in line):
                found.setdefault(name, []).append(line.strip())
    assert found == {
        # The state of our own optimizer, in tensors alone.
        "raybio/training/encoder_learner.py": [
            'state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)'
        ],
        # Of the hub, before a model is fetched: JSON alone.
        "raybio/training/shapes.py": [
            "config = AutoConfig.from_pretrained(source, local_files_only=cached, trust_remote_code=False)"
        ],
        "raybio/training/preflight.py": ["tokenizer = AutoTokenizer.from_pretrained("],
        # LoRA on a model, from an adapter that was inspected.
        "raybio/taggers/language_model.py": [
            "settings = LoraConfig.from_pretrained(str(adapter))",
            "return PeftModel.from_pretrained(model, adapter)",
        ],
    }


def test_weights_are_read_as_they_are_written(tmp_path, minilm):
    """bf16, in several files, of a model without a head: as transformers itself reads them."""
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=30522, **SMALL)).to(torch.bfloat16)
    model.save_pretrained(tmp_path, max_shard_size="200KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    read_tokenizer(minilm).save_pretrained(tmp_path)
    read = read_model(AutoModelForMaskedLM, tmp_path)
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path)
    for (name, ours), other in zip(read.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert ours.dtype == other.dtype and torch.equal(ours, other), name


def test_a_plain_body_is_a_base(tmp_path, minilm):
    BertModel(BertConfig(vocab_size=30522, **SMALL)).save_pretrained(tmp_path)
    read_tokenizer(minilm).save_pretrained(tmp_path)
    check_base(AutoModelForTokenClassification, tmp_path)
    assert isinstance(
        read_model(AutoModelForTokenClassification, tmp_path, new_head=True), BertForTokenClassification
    )


def test_a_vocabulary_that_is_a_sentencepiece_model_alone_is_read(tmp_path):
    """DeBERTa-v3 as it is published: spm.model, and no tokenizer.json."""
    import sentencepiece

    words = ["naloxone", "reverses", "the", "antihypertensive", "effect", "of", "clonidine", "in", "rats"]
    text = [" ".join(words[i % 9 :] + words[: i % 9]) for i in range(200)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text),
        model_prefix=str(tmp_path / "spm"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="[PAD]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        unk_piece="[UNK]",
    )
    (tmp_path / "spm.vocab").unlink()
    config = DebertaV2Config(vocab_size=100, id2label={0: "O", 1: "B-Drug", 2: "I-Drug"}, **SMALL)
    AutoModelForTokenClassification.from_config(config).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spm.model"))
    sentence = "naloxone reverses hypertension"
    assert read_tokenizer(tmp_path).tokenize(sentence) == theirs.encode(sentence, out_type=str)
    check_tagger(tmp_path)
    [tagged] = load_tagger(tmp_path, device="cpu").tag([Sentence("1", tuple(sentence.split()), (0, 9, 18))])
    assert len(tagged.tags) == 3
