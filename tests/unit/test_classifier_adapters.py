"""A token classifier's adapter that PEFT saved elsewhere tags as PEFT itself has it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from foreign_entities import as_sentence
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_classifiers import TAGS, write_classifier
from tokenizers_as_published import sentences
from transformers import AutoModelForTokenClassification, AutoTokenizer

from raybio.errors import ModelError
from raybio.label_schemes import recognise
from raybio.model_sources import base_folder, model_folder
from raybio.taggers import check_tagger, load_tagger

TEXTS = sentences(8)
WEIGHTS = "adapter_model.safetensors"
TARGETS = {"bert": ["query", "value"], "llama-3": ["q_proj", "v_proj"], "gpt2": ["c_attn"]}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYBIO_CACHE", str(tmp_path / "cache"))


def adapter_of(base, folder, targets, **options):
    """Save an adapter with random matrices and a head of five tags, as `PeftModel.save_pretrained` does."""
    torch.manual_seed(4)
    labels = {"id2label": dict(enumerate(TAGS)), "label2id": {tag: i for i, tag in enumerate(TAGS)}}
    model = AutoModelForTokenClassification.from_pretrained(base, **labels, ignore_mismatched_sizes=True)
    lora = LoraConfig(
        task_type="TOKEN_CLS", r=4, lora_alpha=32, target_modules=targets, init_lora_weights=False, **options
    )
    adapted = get_peft_model(model, lora)
    for name, parameter in adapted.named_parameters():
        if "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture(params=TARGETS)
def base(request, tmp_path):
    return write_classifier(request.param, tmp_path / "base")


@pytest.fixture
def adapter(base, tmp_path, request):
    architecture = request.node.callspec.params.get("base", "bert")
    return adapter_of(base, tmp_path / "adapter", TARGETS[architecture])


only_bert = pytest.mark.parametrize("base", ["bert"], indirect=True)


def change(path, **changes):
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))


def test_it_tags_as_peft_has_it(base, adapter):
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForTokenClassification.from_pretrained(base)
    plain = [tags.tags for tags in load_tagger(base, device="cpu").tag(given_sentences())]
    model = PeftModel.from_pretrained(model, adapter).eval()
    check_tagger(adapter)
    found = [
        load_tagger(folder, device="cpu", precision="fp32").tag(given_sentences())
        for folder in (model_folder(str(adapter)), adapter)
    ]
    assert found[0] == found[1] and [one.tags for one in found[0]] != plain
    for text, ours in zip(TEXTS, found[0], strict=True):
        inputs = tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
        first = int((inputs.pop("special_tokens_mask")[0] == 0).nonzero()[0])
        with torch.inference_mode():
            shares = model(**inputs).logits[0].softmax(dim=-1)
        assert ours.tags[0] == TAGS[shares[first].argmax()]
        assert ours.scores[0] == pytest.approx(float(shares[first].max()), abs=1e-4)


def given_sentences():
    return [as_sentence(text) for text in TEXTS]


@only_bert
def test_a_base_without_a_head_has_names_from_beside_the_adapter_or_none(base, adapter):
    for name in ("id2label", "label2id"):
        change(base / "config.json", **{name: None})
    weights = {k: v for k, v in load_file(base / "model.safetensors").items() if "classifier" not in k}
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    names = [f"LABEL_{i}" for i in range(len(TAGS))]
    with pytest.raises(ModelError, match=r"LABEL_0, .* say nothing of what they stand for"):
        check_tagger(adapter)
    given = {f"LABEL_{i}": tag for i, tag in enumerate(TAGS)}
    assert load_tagger(adapter, device="cpu", labels=given).labels == recognise(names, given).labels
    (adapter / "config.json").write_text(json.dumps({"id2label": dict(enumerate(TAGS))}))
    assert load_tagger(adapter, device="cpu").labels == ("Chemical", "Disease")


@only_bert
def test_without_its_base_one_line_says_so(base, adapter, tmp_path):
    shutil.move(base, tmp_path / "moved")
    for use in (lambda at: model_folder(str(at)), check_tagger, load_tagger):
        with pytest.raises(ModelError, match=rf"on {base}, .* there is no model folder {base}") as error:
            use(adapter)
        assert "\n" not in str(error.value)
    change(adapter / "adapter_config.json", base_model_name_or_path=None)
    with pytest.raises(ModelError, match=r"names no base model. Set base_model_name_or_path"):
        check_tagger(adapter)


def without_its_head(base, adapter):
    for folder, name in ((base, "model.safetensors"), (adapter, WEIGHTS)):
        weights = {k: v for k, v in load_file(folder / name).items() if "classifier" not in k}
        save_file(weights, folder / name, {"format": "pt"})


def of_another_size(base, adapter):
    weights = load_file(adapter / WEIGHTS)
    save_file({k: v[..., :7].clone() if "lora_A" in k else v for k, v in weights.items()}, adapter / WEIGHTS)


def of_other_layers(base, adapter):
    weights = load_file(adapter / WEIGHTS)
    save_file({k.replace("layer.1.", "layer.7."): v for k, v in weights.items()}, adapter / WEIGHTS)


def pickled(base, adapter):
    torch.save(load_file(adapter / WEIGHTS), adapter / "adapter_model.bin")
    (adapter / WEIGHTS).unlink()


def with_a_pickled_base(base, adapter):
    torch.save(load_file(base / "model.safetensors"), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()


def on_an_adapter(base, adapter):
    other = Path(shutil.copytree(adapter, adapter.parent / "other"))
    change(adapter / "adapter_config.json", base_model_name_or_path=str(other))


DAMAGED = {
    without_its_head: r"neither .*adapter nor its base .*base has weights of classifier.bias, classifier",
    of_another_size: r"adapter does not fit its base model .*base: .*size mismatch",
    of_other_layers: r"adapter does not fit its base model .*base: \S+layer.\d\S+ is in one of them alone",
    pickled: r"has no safetensors weights .*adapter_model.bin. Pickled weights can run code",
    with_a_pickled_base: r"holds an adapter on .*base, and that cannot be had: .*pytorch_model.bin. Pickled",
    on_an_adapter: r"which is an adapter too. Merge that first",
}


@only_bert
@pytest.mark.parametrize("damage", DAMAGED)
def test_what_does_not_fit_is_refused_in_one_line(base, adapter, damage):
    damage(base, adapter)
    for use in (lambda at: model_folder(str(at)), check_tagger):
        with pytest.raises(ModelError, match=DAMAGED[damage]) as error:
            use(adapter)
        assert "\n" not in str(error.value)


@only_bert
def test_allowed_pickles_are_read(base, adapter):
    wanted = load_tagger(adapter, device="cpu").tag(given_sentences())
    pickled(base, adapter)
    with_a_pickled_base(base, adapter)
    found = model_folder(str(adapter), allow_pickle=True)
    assert load_tagger(found, device="cpu").tag(given_sentences()) == wanted


@only_bert
def test_it_is_no_base_for_training_and_one_of_another_task_is_no_tagger(base, adapter):
    with pytest.raises(ModelError, match=r"holds an adapter on .*base, and no training starts from one"):
        base_folder(str(adapter))
    change(adapter / "adapter_config.json", task_type="CAUSAL_LM")
    for use in (check_tagger, load_tagger):
        with pytest.raises(ModelError, match=r"an adapter, and no raybio.json .* task_type TOKEN_CLS"):
            use(adapter)
