"""Small job configurations that several tests start from."""

from pathlib import Path

from raybio.config import (
    CorpusSection,
    TagCorpusConfig,
    TaggersSection,
    TrainEncoderConfig,
    TrainingSection,
    WorkersSection,
)
from raybio.corpora.sample import SampleFiles
from raybio.entities import Sentence


def training_config(sample: SampleFiles, output: Path, name: str, **changes: object) -> TrainEncoderConfig:
    """Return a small training run on the sample; `changes` replace its fields."""
    fields: dict[str, object] = {
        "job": "train-encoder",
        "model": "bundled:minilm",
        "corpus": CorpusSection(train=str(sample.train), dev=str(sample.dev), test=str(sample.test)),
        "output": str(output),
        "name": name,
        "training": TrainingSection(epochs=2, learning_rate=3e-4, batch_size=4, precision="fp32"),
        "workers": WorkersSection(accelerator="cpu"),
        "bootstrap": 20,
    }
    return TrainEncoderConfig(**{**fields, **changes})


def tagging_config(model: Path, source: Path | str, output: Path | str, **changes: object) -> TagCorpusConfig:
    """Return a small tagging job; `changes` replace its fields."""
    fields: dict[str, object] = {
        "job": "tag-corpus",
        "model": str(model),
        "input": (str(source),),
        "output": str(output),
        "formats": ("parquet", "jsonl"),
        "shard_documents": 10,
        "taggers": TaggersSection(count=1),
    }
    return TagCorpusConfig(**{**fields, **changes})


def sentence_of_words(*words: str, name: str = "s") -> Sentence:
    """Return an unannotated sentence of `words` that stand one space apart."""
    starts = [0]
    for word in words[:-1]:
        starts.append(starts[-1] + len(word) + 1)
    return Sentence(name, words, tuple(starts[: len(words)]))
