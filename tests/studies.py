"""Small studies that several tests start from: tiny encoders on a small sample corpus."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raybio.config import StudyConfig, job_of
from raybio.corpora.sample import SampleFiles

TRAINING = """job: train-encoder
model: {model}
corpus: {{name: sample}}
training: {{epochs: 1, learning_rate: 1e-3, max_length: 64, stride: 16, precision: fp32}}
workers: {{accelerator: cpu}}
bootstrap: 20
"""


def train_file(folder: Path, name: str, model: Path) -> Path:
    """Write the train config of a tiny encoder whose folder is `model`; return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(TRAINING.format(model=model), encoding="utf-8")
    return path


def study_of(output: Path, files: Mapping[str, Path], sample: SampleFiles, **changes: Any) -> StudyConfig:
    """Return a study of the models in `files` (name -> train config); `changes` replace its fields."""
    corpus = {"train": str(sample.train), "dev": str(sample.dev), "test": str(sample.test)}
    options = {
        "name": "tiny",
        "output": str(output),
        "corpora": [corpus],
        "models": [{"name": name, "config": str(path)} for name, path in files.items()],
        "measure": {"enabled": False},
    }
    return job_of(StudyConfig, {**options, **changes}, "the tests")
