import json
from dataclasses import replace
from pathlib import Path

import pytest

from raybio.errors import ModelError
from raybio.taggers.card import kind_of, read_card
from raybio.taggers.cascade import CASCADE, Cascade
from raybio.taggers.decoder import DecoderCard
from raybio.taggers.encoder_card import EncoderCard

OLD = Path(__file__).parents[2] / "data" / "before_versions"


def test_cards_of_before_versions_are_read():
    encoder, decoder = EncoderCard.read(OLD / "run" / "model"), DecoderCard.read(OLD / "decoder")
    assert encoder is not None and encoder.labels == ["CellLine", "Chemical", "Disease", "Gene"]
    assert (decoder.base_model, decoder.style.labels) == ("bundled:smollm2", ("Chemical", "Disease"))
    assert (kind_of(OLD / "run" / "model"), kind_of(OLD / "decoder")) == ("encoder", "decoder")
    cascade = read_card(OLD / "cascade", Cascade, CASCADE)
    assert cascade is not None and cascade.threshold == 0.25


def test_a_card_says_its_version_and_a_later_one_is_refused_in_one_line(tmp_path):
    card = DecoderCard.read(OLD / "decoder")
    card.write(tmp_path)
    path = tmp_path / "raybio.json"
    held = json.loads(path.read_text())
    assert held["schema_version"] == 2
    path.write_text(json.dumps({**held, "field of another raybio": 1}))
    assert DecoderCard.read(tmp_path) == replace(card)
    path.write_text(json.dumps({**held, "schema_version": 3}))
    for read in (DecoderCard.read, EncoderCard.read, kind_of):
        with pytest.raises(ModelError, match=r"raybio.json: of schema version 3") as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)
