"""Scores that are the share of entities that is right, by one temperature; tags stay as they are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import sentence_of_words

from raybio.alignment import Subwords
from raybio.entities import Sentence
from raybio.iob2 import spans_from_tags, tag_set
from raybio.label_schemes import LabelScheme
from raybio.taggers import load_tagger
from raybio.taggers.aggregation import Reading
from raybio.taggers.temperature import LOWEST, fit_temperature

WORDS = ("Naloxone", "reverses", "the", "antihypertensive", "effect", "of", "clonidine", "in", "rats", ".")
SENTENCES = [sentence_of_words(*WORDS[i:], *WORDS[:i]) for i in range(len(WORDS))]
SCHEME = LabelScheme.iob2(["Chemical", "Disease"])
TEMPERATURES = (0.2, 0.7, 1.5, 10.0)


def reading(decision: str, constrained: bool, spread: float = 3.0) -> Reading:
    """What a model says of 40 sentences at random: words of one to four subwords, some of them shared."""
    random = np.random.default_rng(7)
    encoded = []
    for _ in range(40):
        lengths = random.integers(1, 5, size=random.integers(0, 12))
        firsts = np.cumsum([0, *lengths])[:-1]
        words = np.repeat(np.arange(len(lengths)), lengths)
        shared = np.where(random.random(len(firsts)) < 0.1, np.roll(firsts, 1), firsts)
        firsts = np.maximum.accumulate(shared) if len(shared) else shared
        encoded.append(Subwords([5] * len(words), words.tolist(), firsts.tolist()))
    total = sum(len(one.ids) for one in encoded)
    logits = random.normal(scale=spread, size=(total, len(SCHEME.tags))).astype(np.float32)
    return Reading(encoded, logits, SCHEME, decision, constrained)  # type: ignore[arg-type]


@pytest.mark.parametrize("decision", ["first", "last", "mean", "majority"])
@pytest.mark.parametrize("constrained", [False, True])
def test_no_temperature_changes_a_tag(decision: str, constrained: bool) -> None:
    read = reading(decision, constrained)
    plain = read.tags()
    for temperature in TEMPERATURES:
        tagged = read.tags(temperature)
        assert [one.tags for one in tagged] == [one.tags for one in plain]
        assert [one.uncalibrated for one in tagged] == [one.scores for one in plain]
        assert [one.scores for one in tagged] != [one.scores for one in plain]
        assert all(len(one.scores) == len(one.tags) for one in tagged)
    assert not any(one.uncalibrated for one in plain)


def test_a_mean_over_subwords_would_change_tags_if_it_were_taken_at_the_temperature() -> None:
    """What the test above is for: at another temperature the mean's best tag is another."""
    read = reading("mean", False)
    hot = replace(read, logits=read.logits / np.float32(10))
    assert [one.tags for one in hot.tags()] != [one.tags for one in read.tags()]


def test_units_are_where_an_entitys_words_have_their_scores() -> None:
    read = reading("mean", True)
    scores, checked = read.scores(2.0), 0
    for i, one in enumerate(read.tags(2.0)):
        for span in spans_from_tags(one.tags):
            first, end = read.units(i, span)
            assert scores[first:end].min() == pytest.approx(min(one.scores[span.start : span.end]))
            checked += 1
    assert checked > 50


def card_with(folder: Path, **fields: object) -> None:
    card = json.loads((folder / "raybio.json").read_text())
    (folder / "raybio.json").write_text(json.dumps({**card, **fields}))


@pytest.fixture
def folder(tiny_encoder: Path, tmp_path: Path) -> Path:
    target = tmp_path / "model"
    target.mkdir()
    for path in tiny_encoder.iterdir():
        if path.is_file():
            (target / path.name).write_bytes(path.read_bytes())
    return target


def test_a_tagger_gives_scores_at_the_temperature_of_its_card(folder: Path) -> None:
    plain = load_tagger(folder).tag(SENTENCES)
    card_with(folder, temperature=1.0)
    assert load_tagger(folder).tag(SENTENCES) == plain
    card_with(folder, temperature=3.0)
    warm = load_tagger(folder).tag(SENTENCES)
    assert [one.tags for one in warm] == [one.tags for one in plain]
    assert [one.uncalibrated for one in warm] == [one.scores for one in plain]
    assert np.mean([s for one in warm for s in one.scores]) < np.mean(
        [s for one in plain for s in one.scores]
    )


@pytest.mark.parametrize("temperature", [0, -1.0, "warm"])
def test_a_temperature_that_is_none_is_refused_in_one_line(folder: Path, temperature: object) -> None:
    from raybio.errors import ModelError

    card_with(folder, temperature=temperature)
    with pytest.raises(ModelError, match=r"raybio\.json: temperature: .*Train the model again"):
        load_tagger(folder)


class Known:
    """A tagger that has read what it is asked for."""

    def __init__(self, read: Reading) -> None:
        self._read = read

    def read(self, _: object) -> Reading:
        return self._read


def drawn(temperature: float, constant: float | None = None) -> tuple[Known, list[Sentence]]:
    """Sentences of one word whose gold is drawn as often as a model at `temperature` says."""
    random = np.random.default_rng(3)
    count, tags = 4_000, tag_set(["Chemical", "Disease"])
    logits = random.normal(scale=2.0, size=(count, len(tags))).astype(np.float32)
    logits[:, [i for i, tag in enumerate(tags) if tag.startswith("I-")]] = -90
    powers = np.exp(logits / temperature)
    shares = powers / powers.sum(axis=1, keepdims=True)
    drawn = (shares.cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    sentences = [
        replace(sentence_of_words("word"), gold=tuple(spans_from_tags([tags[tag]]))) for tag in drawn.tolist()
    ]
    encoded = [Subwords([5], [0], [0])] * count
    return Known(
        Reading(encoded, logits, LabelScheme.iob2(["Chemical", "Disease"]), "first", False)
    ), sentences


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_that_gold_was_drawn_at_is_found(temperature: float) -> None:
    tagger, sentences = drawn(temperature)
    assert fit_temperature(tagger, sentences) == pytest.approx(temperature, rel=0.15)  # type: ignore[arg-type]


def test_entities_that_are_all_right_do_not_make_scores_1(folder: Path) -> None:
    tagger = Known(reading("first", False, spread=0.5))
    gold = [
        replace(sentence_of_words(*["word"] * len(one.tags)), gold=tuple(spans_from_tags(one.tags)))
        for one in tagger.read(None).tags()
    ]
    found = fit_temperature(tagger, gold)  # type: ignore[arg-type]
    scores = [score for one in tagger.read(None).tags(found) for score in one.scores]
    assert LOWEST <= found < 1 and max(scores) < 1


def test_entities_that_gold_has_no_labels_for_count_for_nothing() -> None:
    tagger, sentences = drawn(2.5)
    diseases = [
        replace(sentence, gold=tuple(span for span in sentence.gold or () if span.label == "Disease"))
        for sentence in sentences
    ]
    whole = fit_temperature(tagger, diseases)  # type: ignore[arg-type]
    own = fit_temperature(tagger, diseases, [{"Disease"}] * len(diseases))  # type: ignore[arg-type]
    assert own == pytest.approx(2.5, rel=0.2) and whole > 1.3 * own


def test_without_entities_there_is_nothing_to_fit() -> None:
    read = reading("first", False)
    read.logits[:, :] = 0
    read.logits[:, SCHEME.tags.index("O")] = 9
    gold = [sentence_of_words(*["word"] * len(one.firsts)) for one in read.encoded]
    assert fit_temperature(Known(read), gold) == 1.0  # type: ignore[arg-type]
