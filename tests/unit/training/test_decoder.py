import pytest

from raybio.config import CorpusSection, TrainDecoderConfig
from raybio.errors import FormatError, UsageError
from raybio.training import decoder

GOOD = "Naloxone\tB-Chemical\nreverses\tO\n\n"


@pytest.mark.parametrize(
    ("dev", "error", "fault"),
    [
        ("Naloxone\tQ-Chemical\n", FormatError, r"dev\.tsv, line 1: 'Q-Chemical' is not an IOB2 tag"),
        ("Naloxone\tB-Drug\n", UsageError, "rename"),
    ],
)
def test_what_is_wrong_with_a_corpus_is_said_before_ray_starts(tmp_path, monkeypatch, dev, error, fault):
    for name, text in (("train", GOOD), ("dev", dev), ("test", GOOD)):
        (tmp_path / f"{name}.tsv").write_text(text)
    corpus = CorpusSection(**{name: str(tmp_path / f"{name}.tsv") for name in ("train", "dev", "test")})
    monkeypatch.setattr(decoder, "connected", lambda: pytest.fail("Ray was started"))
    with pytest.raises(error, match=fault):
        decoder.train_decoder(TrainDecoderConfig(job="train-decoder", model="nobody/nothing", corpus=corpus))
