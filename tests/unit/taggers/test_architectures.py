"""Classifiers of all architectures: read as transformers reads them, trained, saved, and read again alike."""

import numpy as np
import pytest
import torch
from foreign_entities import PipelineOfWords, as_sentence, our_entities, pipeline_entities
from tiny_classifiers import ARCHITECTURES, TAGS, WITHOUT_PADDING, write_classifier
from tokenizers_as_published import sentences
from transformers import AutoModelForTokenClassification, AutoTokenizer, TokenClassificationPipeline

from raybio.config import CorpusSection, TrainEncoderConfig, TrainingSection, WorkersSection
from raybio.entities import Sentence
from raybio.errors import ModelError
from raybio.taggers import check_tagger, load_tagger
from raybio.taggers.hugging_face import read_tokenizer
from raybio.training import steps
from raybio.training.encoder import _card, _ClassifierLearner, train_encoder
from raybio.training.encoder_preflight import preflight_encoder
from raybio.training.encoder_steps import ExampleMaker
from raybio.training.recipes import EncoderRecipe, Task

TEXTS = sentences(16)
SENTENCES = [as_sentence(text) for text in TEXTS]
WORD_PIECES = ("bert", "distilbert", "electra", "mpnet", "funnel", "megatron-bert", "roformer", "convbert")
READ_PADDING = ("convbert", "funnel")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def folder(architecture, tmp_path_factory):
    """A classifier that was trained elsewhere."""
    return write_classifier(architecture, tmp_path_factory.mktemp(architecture))


@pytest.fixture(scope="module")
def tagger(folder):
    return load_tagger(folder, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def tagged(tagger):
    return tagger.tag(SENTENCES)


def test_a_words_tag_is_the_models_own_for_its_first_subword(folder, tagger, tagged):
    check_tagger(folder)
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, sentence, ours in zip(TEXTS, SENTENCES, tagged, strict=True):
        inputs = tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
        special = inputs.pop("special_tokens_mask")[0]
        with torch.inference_mode():
            shares = model(**inputs).logits[0].softmax(dim=-1)
        before = int((special == 0).nonzero()[0])
        [subwords] = tagger._encoder.encode([sentence.words], [sentence.starts])
        seen = set()
        for first, tag, score in zip(subwords.firsts, ours.tags, ours.scores, strict=True):
            best = shares[before + first].argmax()
            assert score == pytest.approx(float(shares[before + first].max()), abs=1e-3)
            # A word that begins within another's subword continues its entity.
            assert tag == TAGS[best] if first not in seen else tag[2:] == TAGS[best][2:]
            seen.add(first)
    assert len({tag for one in tagged for tag in one.tags}) > 2


def test_entities_are_those_of_the_pipeline(architecture, folder):
    make = TokenClassificationPipeline if architecture in WORD_PIECES else PipelineOfWords
    assert our_entities(folder, TEXTS) == pipeline_entities(make, folder, TEXTS)


def test_company_does_not_change_a_tag(architecture, tagger, tagged):
    for sentence, together in zip(SENTENCES, tagged, strict=True):
        [alone] = tagger.tag([sentence])
        assert alone.tags == together.tags
        assert np.allclose(alone.scores, together.scores, atol=1e-4)
    assert tagger._reads_padding == (architecture in READ_PADDING)


def test_a_text_longer_than_its_positions_is_read_whole(architecture, tagger):
    words = tuple(["hypertension", "was", "seen", "in", "rats"] * 150)
    [long] = tagger.tag([Sentence("1", words, tuple(8 * i for i in range(len(words))))])
    assert len(long.tags) == len(words) and not np.isnan(long.scores).any()
    assert tagger.counts["subwords_dropped"] == 0


def test_bf16_gives_nearly_the_same_tags(folder, tagger, tagged):
    coarse = load_tagger(folder, device="cpu", precision="bf16").tag(SENTENCES)
    pairs = [
        pair
        for one, other in zip(coarse, tagged, strict=True)
        for pair in zip(one.tags, other.tags, strict=True)
    ]
    assert sum(a != b for a, b in pairs) < 0.1 * len(pairs)


class OneWorker:
    """Workers of a run without Ray: there is one."""

    rank, world, device = 0, 1, torch.device("cpu")

    def prepare(self, model):
        return model

    def share(self, items):
        return items

    def gather(self, work):
        return list(work())


def config(precision):
    return TrainEncoderConfig(
        job="train-encoder",
        model="any",
        corpus=CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv"),
        training=TrainingSection(precision=precision, learning_rate=1e-3, dropout=0.0),
    )


def a_step(folder, precision):
    """Take one optimizer step; return the learner, its loss and one more."""
    tokenizer = read_tokenizer(folder)
    recipe = EncoderRecipe.of(config(precision))
    task = Task(None, None, folder, recipe, WorkersSection(), ("Chemical", "Disease"), "train.tsv")
    card = _card(task)
    maker = ExampleMaker.of(card, tokenizer)
    examples = [
        example
        for sentence in SENTENCES[:6]
        for example in maker.examples(sentence.words, ["B-Chemical"] + ["O"] * (len(sentence) - 1))
    ]
    learner = _ClassifierLearner(task, card, tokenizer, OneWorker(), 2)
    labelled = steps.labelled(examples)
    return learner, [learner.step([examples], labelled) / labelled for _ in range(2)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_learned_a_step_tags_alike_once_saved(architecture, folder, precision, tmp_path):
    if architecture == "deberta-v1" and precision == "bf16":
        given = TrainEncoderConfig(**{**dict(config(precision)), "model": str(folder)})
        for refuse in (train_encoder, preflight_encoder):
            with pytest.raises(ModelError, match="cannot be trained in bf16") as caught:
                refuse(given)
            assert "\n" not in str(caught.value)
        return
    learner, losses = a_step(folder, precision)
    assert losses[1] < losses[0]
    learner.save(tmp_path)
    check_tagger(tmp_path / "model")
    again = load_tagger(tmp_path / "model", device="cpu", precision="fp32")
    pairs = [
        pair
        for one, other in zip(again.tag(SENTENCES), learner.tags(SENTENCES), strict=True)
        for pair in zip(one.tags, other, strict=True)
    ]
    # Under autocast a learner tags as it learns.
    assert sum(a != b for a, b in pairs) <= (0 if precision == "fp32" else 0.1 * len(pairs))


def test_block_sparse_attention_is_read_in_full(tmp_path):
    """With small blocks the sentences are long enough for it; what it gives depends on the batch."""
    folder = write_classifier("big_bird", tmp_path, block_size=4, num_random_blocks=1)
    tagger = load_tagger(folder, device="cpu", precision="fp32")
    together = tagger.tag(SENTENCES)
    assert [one.tags for one in together] == [tagger.tag([one])[0].tags for one in SENTENCES]
    assert not tagger._reads_padding


def test_some_have_no_padding_of_their_own(architecture, folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.pad_token_id is None) == (architecture in WITHOUT_PADDING)
    assert tokenizer.model_max_length > 1e29
