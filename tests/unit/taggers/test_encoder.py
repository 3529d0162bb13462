import json
import re
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts, words
from transformers import AutoModelForTokenClassification

from raybio.alignment import SubwordEncoder, windows
from raybio.cli import command_line_parser
from raybio.config import TrainEncoderConfig, load_job
from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.iob2 import orphans, spans_from_tags
from raybio.label_schemes import recognise, spans_of
from raybio.taggers import load_tagger
from raybio.taggers.devices import computes_bf16, pick_device, pick_dtype
from raybio.taggers.encoder import EncoderTagger
from raybio.taggers.encoder_card import EncoderCard, description_of

MAX_TOKENS, OVERLAP = 64, 16


def sentence(*of):
    return Sentence("s", tuple(of), tuple(range(len(of))))


LONG = sentence(*(f"word{i}" if i % 7 else "hydroxychloroquine" for i in range(1000)))
MEDIUM = sentence(*LONG.words[:150])
ONE_WORD = sentence("a", "." * 2000, "b")
SHORT = [
    sentence("Naloxone", "reverses", "the", "effect", "of", "clonidine", "."),
    sentence(),
    sentence("β-blockers"),
    sentence("IL-2", "😀", "\x01", "hypotension"),
]


@pytest.fixture(scope="module")
def tagger(tiny_encoder):
    return EncoderTagger.load(tiny_encoder, device="cpu")


def assert_same(left, right):
    assert [one.tags for one in left] == [one.tags for one in right]
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


# One tag a word ---------------------------------------------------------------------------------


@given(st.lists(st.lists(words() | texts(min_size=1, max_size=8), max_size=30), max_size=4))
@settings(max_examples=40)
def test_every_word_has_a_tag_and_a_score(tagger, drawn):
    tagged = tagger.tag([sentence(*one) for one in drawn])
    assert [len(one.tags) for one in tagged] == [len(one.scores) for one in tagged] == [len(d) for d in drawn]
    assert all(0 <= score <= 1 for one in tagged for score in one.scores)
    assert tagger.counts["subwords_dropped"] == 0


def test_nothing_to_tag_gives_nothing(tagger):
    assert tagger.tag([]) == []
    assert [one.tags for one in tagger.tag([sentence(), sentence()])] == [(), ()]


def test_text_longer_than_the_model_is_read_whole(tiny_encoder, tokenizer):
    tagger = EncoderTagger.load(tiny_encoder, device="cpu")
    inputs = [*SHORT, LONG, ONE_WORD]
    tagged = tagger.tag(inputs)
    assert [len(one.tags) for one in tagged] == [len(one) for one in inputs]
    encoded = SubwordEncoder(tokenizer).encode([s.words for s in inputs])
    subwords = [len(one.ids) for one in encoded]
    assert subwords[-2] > 3000 and subwords[-1] == 2002
    cut = sum(len(windows(one, 0, MAX_TOKENS - 2, OVERLAP)) for one in encoded)
    assert tagger.counts == {"subwords": sum(subwords), "subwords_dropped": 0, "windows": cut}


def test_the_tags_of_random_weights_differ_or_these_tests_say_little(tagger):
    assert len(set(tagger.tag([MEDIUM])[0].tags)) >= 4


# What must not matter ---------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [1, 500, 100_000])
def test_neither_the_budget_nor_the_company_changes_the_tags(tiny_encoder, tagger, budget):
    inputs = [*SHORT, MEDIUM, sentence("a", "." * 300)]
    alone = [tagger.tag([one])[0] for one in inputs]
    other = EncoderTagger.load(tiny_encoder, device="cpu", max_batch_tokens=budget)
    assert_same(other.tag(inputs), alone)
    assert_same(other.tag(inputs[::-1]), alone[::-1])


def test_a_word_of_a_long_sentence_has_the_tag_of_the_window_that_owns_it(tiny_encoder, tokenizer):
    first = EncoderTagger.load(tiny_encoder, device="cpu", aggregation_strategy="first")
    short = list("abcdefghij" * 20)  # one subword a word: windows are sentences
    whole = first.tag([sentence(*short)])[0]
    encoded = SubwordEncoder(tokenizer).encode([short])[0]
    assert len(encoded.ids) == len(short)
    cut = windows(encoded, 0, MAX_TOKENS - 2, OVERLAP)
    assert len(cut) > 3
    for window in cut:
        alone = first.tag([sentence(*short[window.start : window.start + len(window.ids)])])[0]
        owned = slice(window.own_start - window.start, window.own_end - window.start)
        assert alone.tags[owned] == whole.tags[window.own_start : window.own_end]
        np.testing.assert_allclose(
            alone.scores[owned], whole.scores[window.own_start : window.own_end], atol=1e-5
        )


def test_the_logits_are_those_of_the_model_itself(tiny_encoder, tokenizer):
    """The same words through transformers alone, first subword, one sentence at a time."""
    tagger = EncoderTagger.load(tiny_encoder, device="cpu", aggregation_strategy="first")
    model = AutoModelForTokenClassification.from_pretrained(tiny_encoder).eval()
    for one in (SHORT[0], SHORT[2]):
        batch = tokenizer(list(one.words), is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            probabilities = model(**batch).logits[0].softmax(-1).numpy()
        ids = batch.word_ids()
        at = [ids.index(i) for i in range(len(one))]
        [tagged] = tagger.tag([one])
        assert list(tagged.tags) == [model.config.id2label[i] for i in probabilities[at].argmax(-1)]
        np.testing.assert_allclose(tagged.scores, probabilities[at].max(-1), atol=1e-5)


def test_it_agrees_with_the_pipeline_of_transformers(tiny_encoder):
    from transformers import pipeline

    one = SHORT[0]
    text = " ".join(one.words)
    starts = np.cumsum([0, *(len(word) + 1 for word in one.words)])
    pipe = pipeline("token-classification", model=str(tiny_encoder), device="cpu", ignore_labels=[])
    theirs = {piece["start"]: piece for piece in pipe(text)}
    [ours] = EncoderTagger.load(tiny_encoder, device="cpu", aggregation_strategy="first").tag([one])
    assert list(ours.tags) == [theirs[start]["entity"] for start in starts[:-1]]
    np.testing.assert_allclose(ours.scores, [theirs[start]["score"] for start in starts[:-1]], atol=1e-5)


# Word decisions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["mean", "majority", "first"])
def test_the_card_decides_unless_the_caller_does(tiny_encoder, decision):
    by_caller = EncoderTagger.load(tiny_encoder, device="cpu", aggregation_strategy=decision)
    assert by_caller._card.aggregation_strategy == decision
    assert EncoderTagger.load(tiny_encoder, device="cpu")._card.aggregation_strategy == "mean"
    assert len(by_caller.tag([MEDIUM])[0].tags) == len(MEDIUM)


def test_a_legal_tagger_gives_no_orphans_and_changes_only_sentences_that_had_some(tiny_encoder):
    plain = EncoderTagger.load(tiny_encoder, device="cpu").tag([*SHORT, MEDIUM])
    legal = EncoderTagger.load(tiny_encoder, device="cpu", constrained_decoding=True).tag([*SHORT, MEDIUM])
    assert any(orphans(one.tags) for one in plain)
    assert not any(orphans(one.tags) for one in legal)
    assert_same(
        [one for one in plain if not orphans(one.tags)],
        [other for one, other in zip(plain, legal, strict=True) if not orphans(one.tags)],
    )


# Model folders ----------------------------------------------------------------------------------


def changed_copy(folder, target, **config):
    shutil.copytree(folder, target)
    settings = json.loads((target / "config.json").read_text()) | config
    (target / "config.json").write_text(json.dumps(settings))
    return target


def with_outputs(tiny_encoder, target, *names):
    named = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    return changed_copy(tiny_encoder, target, **named)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["LABEL_0", "LABEL_1", "O", "O", "O"], "LABEL_0, LABEL_1: they say nothing of what they stand for"),
        (["O", "B-x", "I-x", "y", "z"], "y, z: others say where an entity begins, and these do not"),
        (["noun", "verb", "adverb", "a", "c"], "noun, verb, adverb, a, c: none of them is outside"),
    ],
)
def test_a_model_of_unknown_tags_is_refused_and_they_are_named(tiny_encoder, tmp_path, names, message):
    folder = with_outputs(tiny_encoder, tmp_path / "other", *names)
    with pytest.raises(ModelError, match=message + r"\. Say what they stand for in `model_labels`"):
        load_tagger(folder, device="cpu")


def test_what_outputs_stand_for_can_be_given(tiny_encoder, tmp_path):
    folder = with_outputs(tiny_encoder, tmp_path / "other", *(f"LABEL_{i}" for i in range(5)))
    given = {f"LABEL_{i}": tag for i, tag in enumerate(load_tagger(tiny_encoder)._scheme.tags)}
    wanted = load_tagger(tiny_encoder, device="cpu").tag([*SHORT, MEDIUM])
    assert load_tagger(folder, device="cpu", labels=given).tag([*SHORT, MEDIUM]) == wanted
    some = load_tagger(tiny_encoder, device="cpu", labels={"Disease": None, "Chemical": "Drug"})
    assert some.labels == ("Drug",)
    for one, other in zip(some.tag([*SHORT, MEDIUM]), wanted, strict=True):
        assert list(one.tags) == [
            "O" if tag.endswith("Disease") else tag.replace("Chemical", "Drug") for tag in other.tags
        ]
    with pytest.raises(ModelError, match="cannot be read, Gene: no such names, nor labels"):
        load_tagger(tiny_encoder, device="cpu", labels={"Gene": None})


@pytest.mark.parametrize("legal", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ["O", "B-x", "I-x", "E-x", "S-x"],
        ["U-x", "L-x", "I-x", "B-x", "O"],
        ["x", "y", "O", "[PAD]", "z"],
        ["B-x", "I-x", "B-y", "OUT", "I-z"],
        ["o", "x_b", "x_i", "y_b", "y_i"],
    ],
)
def test_any_scheme_is_passed_on_as_iob2(tiny_encoder, tmp_path, names, legal):
    folder = with_outputs(tiny_encoder, tmp_path / "other", *names)
    ours = load_tagger(tiny_encoder, device="cpu").tag([*SHORT, MEDIUM])
    scheme = recognise(names)
    back = dict(zip(load_tagger(tiny_encoder, device="cpu")._scheme.tags, scheme.tags, strict=True))
    tagged = load_tagger(folder, device="cpu", constrained_decoding=legal).tag([*SHORT, MEDIUM])
    for one, other in zip(tagged, ours, strict=True):
        spans = spans_from_tags(one.tags)
        assert scheme.name == "IOB2" or not orphans(one.tags)
        assert legal or spans == spans_of([back[tag] for tag in other.tags])
    assert any(set(one.tags) - {"O"} for one in tagged)


def test_tags_may_stand_in_any_order(tiny_encoder, tmp_path):
    tags = ("I-Chemical", "O", "B-Chemical", "B-Disease", "I-Disease")
    folder = changed_copy(tiny_encoder, tmp_path / "other", id2label=dict(enumerate(tags)))
    assert load_tagger(folder, device="cpu").labels == ("Chemical", "Disease")
    assert description_of(folder)[0].tags == tags


def test_a_model_from_elsewhere_works_without_a_card(tiny_encoder, tmp_path):
    folder = changed_copy(tiny_encoder, tmp_path / "foreign")
    (folder / "raybio.json").unlink()
    tagger = load_tagger(folder, device="cpu")
    assert tagger.labels == ("Chemical", "Disease")
    tagged = tagger.tag([*SHORT, MEDIUM])
    assert [len(one.tags) for one in tagged] == [len(one) for one in [*SHORT, MEDIUM]]
    assert description_of(folder)[1] == EncoderCard(
        ["Chemical", "Disease"], MAX_TOKENS, 8, "first", "first", spacing="as-written"
    )


def test_a_folder_without_a_classifier_is_refused(tmp_path, minilm):
    with pytest.raises(ModelError, match=r"has no config.json"):
        load_tagger(tmp_path, device="cpu")
    with pytest.raises(ModelError, match=r"^bundled:minilm is a base model \(BertModel\), without a head"):
        load_tagger(minilm, device="cpu")


@pytest.mark.parametrize("made_for", ["BertModel", "BertForMaskedLM", "BertForSequenceClassification"])
def test_a_base_model_is_no_tagger_and_the_command_that_trains_it_is_named(tiny_encoder, tmp_path, made_for):
    folder = with_outputs(tiny_encoder, tmp_path / "base", *(f"LABEL_{i}" for i in range(5)))
    (folder / "raybio.json").unlink()
    folder = changed_copy(folder, tmp_path / "other", architectures=[made_for])
    with pytest.raises(ModelError) as caught:
        load_tagger(folder, device="cpu")
    assert f"{folder} is a base model ({made_for})" in str(caught.value)
    command = re.search(r"`raybio (train-encoder .+?)`", str(caught.value))[1]
    options = command_line_parser().parse_args(command.split())
    job = load_job(TrainEncoderConfig, options.config, options.overrides)
    assert (job.model, job.corpus.name) == (str(folder), "sample")


def test_the_card_survives_the_folder(tmp_path):
    card = EncoderCard(["a"], 512, 64, "all", "majority", base_model="bundled:minilm", raybio="0.1.0")
    card.write(tmp_path)
    assert EncoderCard.read(tmp_path) == card
    assert EncoderCard.read(tmp_path / "nowhere") is None
    assert card.but(max_length=128, aggregation_strategy=None).max_length == 128
    assert card.but(aggregation_strategy=None) == card


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"flavour": 1}', "\ud800"])
def test_a_broken_card_is_named(tmp_path, content):
    (tmp_path / "raybio.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"raybio.json: .*Train the model again"):
        EncoderCard.read(tmp_path)


def test_devices_and_precisions():
    cpu = torch.device("cpu")
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_dtype("auto", cpu) == pick_dtype("fp32", cpu) == torch.float32
    capable = torch.cpu.get_capabilities()
    assert computes_bf16(cpu) == bool(capable.get("amx_bf16") or capable.get("avx512_bf16"))
    assert pick_dtype("bf16", cpu) == torch.bfloat16
    assert pick_dtype("fp16", cpu) == torch.float16


def test_bf16_gives_a_tag_a_word_too(tiny_encoder):
    tagged = load_tagger(tiny_encoder, precision="bf16", device="cpu").tag(SHORT)
    assert [len(one.tags) for one in tagged] == [len(one) for one in SHORT]


def test_out_of_memory_says_what_to_lower(tiny_encoder, monkeypatch):
    tagger = EncoderTagger.load(tiny_encoder, device="cpu")

    def full(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(tagger, "_forward", full)
    with pytest.raises(ModelError, match=r"do not fit .* Lower max_batch_tokens \(now 1024\)"):
        tagger.tag([Sentence("1", ("rats",), (0,))])
