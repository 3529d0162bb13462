import pytest
from transformers import BertConfig

from raybio.config import CorpusSection, TrainEncoderConfig, WorkersSection
from raybio.errors import ConfigError, ModelError
from raybio.training import shapes
from raybio.training.encoder_preflight import estimate_encoder, preflight_encoder
from raybio.training.recipes import EncoderRecipe
from raybio.training.stand_in_tokenizer import stand_in_tokenizer

BERT = BertConfig(
    vocab_size=5000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
)
CPU = WorkersSection(accelerator="cpu")
ROW = {"id": "1", "document_id": "d", "words": ["Naloxone", "works"], "tags": ["B-Chemical", "O"]}
LONG = {**ROW, "words": ["Naloxone"] * 100, "tags": ["B-Chemical"] * 100}
TOKENIZER = stand_in_tokenizer(BERT, ["Naloxone works"] * 3)


def config(model="some/bert", corpus="nowhere.tsv", **changes):
    files = CorpusSection(train=str(corpus), dev=str(corpus), test=str(corpus))
    return TrainEncoderConfig(job="train-encoder", model=model, corpus=files, workers=CPU, **changes)


def estimated(config, rows):
    return estimate_encoder(EncoderRecipe.of(config), config.workers, BERT, TOKENIZER, ["Chemical"], rows)


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(shapes, "KNOWN", {"some/bert": BERT})


def test_an_encoder_learns_all_of_its_weights_in_fp32():
    found = estimated(config(), [ROW])
    parameters = found.sizes.learning
    assert parameters == sum(w.numel() for w in _model(3).parameters())
    parts = found.memory.parts()
    assert (parts["weights"], parts["gradients"], parts["optimizer"]) == (
        4 * parameters,
        4 * parameters,
        8 * parameters,
    )
    assert "adapter" not in parts


def test_an_average_and_other_workers_take_memory_of_their_own():
    plain = estimated(config(), [ROW]).memory
    averaged = config(training={"ema_decay": 0.9})
    assert estimated(averaged, [ROW]).memory.weights == 2 * plain.weights
    two = config().model_copy(update={"workers": WorkersSection(accelerator="cpu", num_workers=2)})
    assert estimated(two, [ROW]).memory.gradients == 2 * plain.gradients


def test_steps_and_passes_are_counted_with_the_models_own_tokens():
    chosen = config(training={"batch_size": 2, "max_length": 64, "stride": 8, "max_batch_tokens": 64})
    found = estimated(chosen, [ROW, ROW, LONG]).corpus
    # Four tokens a short sentence; the long one's 100 in windows of 62 between two special tokens.
    assert found.sentences == 3
    assert found.passes.steps == found.steps_per_epoch == 2
    assert (found.passes.rows, found.passes.longest) == (1, 64)
    larger = estimated(config(), [LONG] * 9).memory
    smaller = estimated(config(), [ROW] * 9).memory
    assert larger.activations > 10 * smaller.activations


def test_without_corpus_and_tokenizer_the_largest_pass_is_the_configured_one(known):
    found = preflight_encoder(config())
    assert found.corpus is None
    assert "nowhere.tsv" in found.no_corpus
    half = preflight_encoder(config(training={"max_batch_tokens": 8192}))
    assert found.memory.activations == pytest.approx(2 * half.memory.activations, rel=0.01)
    assert any("trainable parameters" in line for line in found.lines())
    assert not any("frozen" in line for line in found.lines())


def test_a_faulty_corpus_and_another_architecture_are_refused(known, tmp_path, monkeypatch):
    faulty = tmp_path / "train.tsv"
    faulty.write_text("Naloxone\tX-Chemical\n")
    with pytest.raises(ConfigError, match="X-Chemical"):
        preflight_encoder(config(corpus=faulty))
    from transformers import CLIPConfig

    monkeypatch.setattr(shapes, "KNOWN", {"some/clip": CLIPConfig()})
    with pytest.raises(ModelError, match="cannot classify tokens"):
        preflight_encoder(config("some/clip"))


def test_an_encoder_is_not_made_to_read_as_it_does_anyway(known):
    with pytest.raises(ConfigError, match="bert model cannot be made to read both ways"):
        preflight_encoder(config(attention="bidirectional"))


def _model(tags):
    from transformers import BertForTokenClassification

    return BertForTokenClassification(BertConfig(**{**BERT.to_dict(), "num_labels": tags, "id2label": None}))
