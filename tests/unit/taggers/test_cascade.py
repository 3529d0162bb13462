import shutil

import pytest
import torch
from samples import sentence_of_words

from raybio.errors import ModelError
from raybio.model_sources import model_folder
from raybio.taggers import Tags, load_tagger
from raybio.taggers.cascade import Cascade, confidence, threshold_for
from raybio.taggers.decoder import DecoderTagger
from raybio.taggers.encoder import EncoderTagger

WORDS = ["Naloxone", "reverses", "the", "antihypertensive", "effect", "of", "clonidine", "in", "rats", "."]
SENTENCES = [sentence_of_words(*WORDS[i:], *WORDS[:i]) for i in range(6)]


@pytest.fixture
def cascade(tiny_encoder, tiny_decoder, tmp_path):
    def make(threshold):
        folder = tmp_path / str(threshold)
        Cascade.of(str(tiny_encoder), str(tiny_decoder), threshold, 0.5, "dev").write(folder)
        return model_folder(str(folder))

    return make


def tags_of(folder):
    return [one.tags for one in load_tagger(folder).tag(SENTENCES)]


def test_nothing_is_reread_below_a_threshold_of_zero(cascade, tiny_encoder):
    assert tags_of(cascade(0.0)) == tags_of(tiny_encoder)


def test_everything_is_reread_above_one(cascade, tiny_decoder):
    assert tags_of(cascade(1.1)) == tags_of(tiny_decoder)


def test_only_unsure_sentences_are_reread(cascade, tiny_encoder, tiny_decoder):
    first, second = load_tagger(tiny_encoder).tag(SENTENCES), load_tagger(tiny_decoder).tag(SENTENCES)
    threshold = threshold_for([confidence(tags) for tags in first], 0.5)
    tagger = load_tagger(cascade(threshold))
    expected = [b if confidence(a) < threshold else a for a, b in zip(first, second, strict=True)]
    assert [one.tags for one in tagger.tag(SENTENCES)] == [one.tags for one in expected]
    assert tagger.counts["sentences_reread"] == sum(confidence(tags) < threshold for tags in first) == 3
    assert tagger.counts["passes"] >= 3
    assert tagger.labels == ("Chemical", "Disease")


def test_another_draft_is_refused(cascade, tiny_encoder):
    for decoding in ({"draft": "previous"}, {"draft": "encoder", "draft_model": str(tiny_encoder)}):
        with pytest.raises(ModelError, match="verifies the tags of its own encoder"):
            load_tagger(cascade(0.5), decoding=decoding)


def test_confidence_is_that_of_the_least_certain_word():
    assert confidence(Tags(("O", "O"), (0.9, 0.4))) == 0.4
    assert confidence(Tags((), ())) == 1.0


@pytest.mark.parametrize(("budget", "below"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.99, 3), (1.0, 4)])
def test_a_threshold_keeps_its_budget(budget, below):
    confidences = [0.9, 0.2, 1.0, 0.5]
    threshold = threshold_for(confidences, budget)
    assert sum(value < threshold for value in confidences) == below


def test_equal_confidences_do_not_exceed_the_budget():
    assert threshold_for([0.5] * 4, 0.5) == 0.5


def test_a_model_that_has_changed_is_refused(tiny_encoder, tiny_decoder, tmp_path):
    encoder = shutil.copytree(tiny_encoder, tmp_path / "encoder")
    Cascade.of(str(encoder), str(tiny_decoder), 0.5, 0.5, "dev").write(tmp_path / "cascade")
    (encoder / "extra.json").write_text("{}")
    with pytest.raises(ModelError, match=r"is not the model that .* was made for"):
        load_tagger(model_folder(str(tmp_path / "cascade")))


def test_a_broken_cascade_is_named(tmp_path):
    (tmp_path / "cascade.json").write_text("{}")
    with pytest.raises(ModelError, match=r"cascade.json: encoder: field required"):
        load_tagger(model_folder(str(tmp_path)))


@pytest.fixture
def int8_loads(monkeypatch, tiny_encoder):
    """What encoders in int8 are loaded with; they are no int8 encoders here."""
    from raybio.taggers import encoder_int8

    asked = []
    monkeypatch.setattr(
        encoder_int8, "load_int8", lambda folder, **given: (asked.append(given), load_tagger(folder))[1]
    )
    return asked


def test_an_encoder_in_int8_has_the_threads_that_its_cascade_may_have(cascade, int8_loads):
    threads = torch.get_num_threads()
    load_tagger(cascade(0.5), precision="int8", threads=1, max_batch_tokens=99)
    torch.set_num_threads(threads)
    assert int8_loads == [{"threads": 1, "max_batch_tokens": 99, "labels": None}]


def test_bounds_hold_for_both_models_of_a_cascade(cascade, monkeypatch):
    found = budgets(monkeypatch)
    load_tagger(cascade(0.5), max_batch_tokens=77)
    assert found == {"encoder": 77, "decoder": 77}


def test_bounds_hold_for_an_encoder_that_drafts(tiny_encoder, tiny_decoder, monkeypatch):
    found = budgets(monkeypatch)
    load_tagger(
        tiny_decoder, max_batch_tokens=77, decoding={"draft": "encoder", "draft_model": str(tiny_encoder)}
    )
    assert found == {"encoder": 77, "decoder": 77}


def budgets(monkeypatch):
    """Return where the budget of each tagger that is made from now on will be."""
    found = {}
    for name, tagger in (("encoder", EncoderTagger), ("decoder", DecoderTagger)):
        made = tagger.__init__

        def noted(self, *given, _name=name, _made=made, **options):
            _made(self, *given, **options)
            found[_name] = self._budget

        monkeypatch.setattr(tagger, "__init__", noted)
    return found
