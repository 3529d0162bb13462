"""A run that is begun or resumed, and one that needs more memory than there is."""

import re
from pathlib import Path

import pytest

from raybio.config import AdaptEncoderConfig, CorpusSection, TrainEncoderConfig, load_job
from raybio.errors import UsageError
from raybio.training.trainer import begin_run


def test_a_run_is_resumed_only_with_options_that_continue_with_what_it_learned(tmp_path: Path) -> None:
    def config(**options: object) -> TrainEncoderConfig:
        corpus = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
        given = {"model": "bundled:minilm", "output": str(tmp_path), "name": "mine", "test": False, **options}
        return TrainEncoderConfig(job="train-encoder", corpus=corpus, **given)

    begun = begin_run(config(seed=1, training={"epochs": 3}), "mine")
    (begun.path / "ray").mkdir()
    with pytest.raises(
        UsageError, match=r"config\.yaml began with other options \(seed: 1, now 2; training\.le"
    ):
        begin_run(config(resume=True, seed=2, training={"epochs": 3, "learning_rate": 1e-5}), "mine")

    longer = config(resume=True, seed=1, training={"epochs": 5}, workers={"num_workers": 2})
    assert begin_run(longer, "mine").path == begun.path
    recorded = load_job(TrainEncoderConfig, begun.path / "config.yaml")
    assert recorded == longer.model_copy(update={"resume": False})


def test_a_run_that_may_have_begun_resumes_where_it_had(tmp_path: Path) -> None:
    """How a cluster's job is resumed: the first time may have died before there was a run folder."""

    def config(**options: object) -> TrainEncoderConfig:
        corpus = CorpusSection(train="train.tsv", dev="dev.tsv", test="test.tsv")
        given = {"model": "bundled:minilm", "output": str(tmp_path), "name": "mine", **options}
        return TrainEncoderConfig(job="train-encoder", corpus=corpus, resume="if-begun", **given)

    begun = begin_run(config(), "mine")
    learned = begun.write_text("learned", "")
    assert begin_run(config(), "mine").path == begun.path
    assert learned.exists()
    assert load_job(TrainEncoderConfig, begun.path / "config.yaml").resume is False
    (begun.path / "ray").mkdir()
    with pytest.raises(UsageError, match="began with other options"):
        begin_run(config(seed=2), "mine")


def test_a_run_that_learned_nothing_may_continue_in_another_way(tmp_path: Path) -> None:
    """Its first options may be what ended it: text that could not be read, teachers of other labels."""

    def config(**options: object) -> AdaptEncoderConfig:
        given = {"model": "runs/mine/model", "output": str(tmp_path), "text": {"files": ["a.txt"]}, **options}
        return AdaptEncoderConfig(job="adapt-encoder", **given)

    begun = begin_run(config(), "adapted")
    assert re.fullmatch(r"mine-adapted-\d.*", begun.path.name)
    fixed = config(name=begun.path.name, resume=True, text={"files": ["b.txt"]})
    assert begin_run(fixed, "adapted").path == begun.path
    (begun.path / "text.parquet").touch()
    with pytest.raises(UsageError, match=r"text\.files"):
        begin_run(config(name=begun.path.name, resume=True, text={"files": ["c.txt"]}), "adapted")
